#include "core/engine/conduit.hpp"

#include "forebay/base/assert.hpp"

namespace forebay::core {
namespace {

/// A run of at least this size is gathered, a smaller one is copied.
constexpr std::size_t kGatherMin = 4096;

/// Scratch memory above this is given back after a turn that needed it.
constexpr std::size_t kScratchMax = 256 * 1024;

}  // namespace

void Conduit::pass(Bytes run) {
  if (run.empty()) return;
  seal();
  if (!segments_.empty()) {
    Segment& last = segments_.back();
    if (last.data != nullptr && last.data + last.size == run.data()) {
      last.size += run.size();
      return;
    }
  }
  segments_.push_back({run.data(), 0, run.size()});
}

std::size_t Conduit::size() const noexcept {
  std::size_t total = inserted_.size() - sealed_;
  for (const Segment& segment : segments_) total += segment.size;
  return total;
}

bool Conduit::flush(Stream& to, Stash& unsent, BufferPool& pool) {
  seal();
  if (segments_.empty()) return unsent.empty();

  const std::span<const Bytes> pieces = gather();
  std::size_t taken = unsent.empty() ? to.send(pieces) : 0;
  for (const Bytes piece : pieces) {
    if (taken >= piece.size()) {
      taken -= piece.size();
    } else {
      unsent.append(pool, piece.substr(taken));
      taken = 0;
    }
  }
  clear();
  return unsent.empty();
}

bool Conduit::resend(Stream& to, Stash& unsent, BufferPool& pool) {
  if (unsent.empty()) return true;
  const Bytes piece = unsent.view();
  unsent.consume(pool, to.send({&piece, 1}));
  return unsent.empty();
}

void Conduit::clear() noexcept {
  segments_.clear();
  inserted_.clear();
  flat_.clear();
  sealed_ = 0;
  if (inserted_.capacity() > kScratchMax) std::string().swap(inserted_);
  if (flat_.capacity() > kScratchMax) std::string().swap(flat_);
}

void Conduit::seal() {
  const std::size_t fresh = inserted_.size() - sealed_;
  if (fresh == 0) return;
  segments_.push_back({nullptr, sealed_, fresh});
  sealed_ = inserted_.size();
}

Bytes Conduit::bytes_of(const Segment& segment) const noexcept {
  const char* data = segment.data != nullptr ? segment.data : inserted_.data() + segment.offset;
  return {data, segment.size};
}

std::span<const Bytes> Conduit::gather() {
  pieces_.clear();
  if (segments_.size() == 1) {
    pieces_.push_back(bytes_of(segments_.front()));
    return pieces_;
  }
  std::size_t small = 0;
  for (const Segment& segment : segments_) {
    if (segment.size < kGatherMin) small += segment.size;
  }
  flat_.clear();
  flat_.reserve(small);  // views into it stay valid while it fills
  for (const Segment& segment : segments_) {
    const Bytes bytes = bytes_of(segment);
    if (bytes.size() >= kGatherMin) {
      pieces_.push_back(bytes);
      continue;
    }
    const char* at = flat_.data() + flat_.size();
    flat_.append(bytes);
    if (!pieces_.empty() && pieces_.back().data() + pieces_.back().size() == at &&
        pieces_.back().size() > 0 && pieces_.back().data() >= flat_.data()) {
      pieces_.back() = Bytes(pieces_.back().data(), pieces_.back().size() + bytes.size());
    } else {
      pieces_.push_back({at, bytes.size()});
    }
  }
  return pieces_;
}

}  // namespace forebay::core
