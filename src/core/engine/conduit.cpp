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
  if (sealed_ == inserted_.size() && !segments_.empty()) {
    Segment& last = segments_.back();
    if (last.data != nullptr && last.data + last.size == run.data()) {
      last.size += run.size();
      return;
    }
    absorb();
  }
  // Runs side by side count as one: a result in many small rows is not copied row by row.
  copied_ = run.data() == copied_end_ ? copied_ + run.size() : run.size();
  if (empty() || copied_ >= kGatherMin) {
    borrow(run);
  } else {
    copied_end_ = run.data() + run.size();
    inserted_.append(run);
  }
}

void Conduit::borrow(Bytes run) {
  seal();
  segments_.push_back({run.data(), 0, run.size()});
}

// A small run that is no longer alone is copied after all.
void Conduit::absorb() {
  const Segment last = segments_.back();
  if (last.data == nullptr || last.size >= kGatherMin) return;
  segments_.pop_back();
  inserted_.append(last.data, last.size);
}

std::size_t Conduit::size() const noexcept {
  std::size_t total = inserted_.size() - sealed_;
  for (const Segment& segment : segments_) total += segment.size;
  return total;
}

bool Conduit::flush(Stream& to, Stash& unsent, BufferPool& pool) {
  if (empty()) return unsent.empty();
  seal();
  const Bytes first = bytes_of(segments_.front());
  std::span<const Bytes> pieces(&first, 1);
  if (segments_.size() > 1) {
    pieces_.clear();
    for (const Segment& segment : segments_) pieces_.push_back(bytes_of(segment));
    pieces = pieces_;
  }
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

void Conduit::keep(Stash& stash, BufferPool& pool) {
  seal();
  for (const Segment& segment : segments_) stash.append(pool, bytes_of(segment));
  clear();
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
  sealed_ = 0;
  copied_end_ = nullptr;
  if (inserted_.capacity() > kScratchMax) std::string().swap(inserted_);
}

void Conduit::seal() {
  const std::size_t fresh = inserted_.size() - sealed_;
  if (fresh == 0) return;
  if (!segments_.empty() && segments_.back().data == nullptr) {
    segments_.back().size += fresh;  // what stands before it was absorbed
  } else {
    segments_.push_back({nullptr, sealed_, fresh});
  }
  sealed_ = inserted_.size();
}

Bytes Conduit::bytes_of(const Segment& segment) const noexcept {
  const char* data = segment.data != nullptr ? segment.data : inserted_.data() + segment.offset;
  return {data, segment.size};
}

}  // namespace forebay::core
