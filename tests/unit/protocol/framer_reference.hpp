#pragma once

#include <algorithm>
#include <cstddef>
#include <sstream>
#include <string>
#include <vector>

#include "forebay/base/bytes.hpp"
#include "forebay/protocol/postgres/framer.hpp"
#include "forebay/protocol/postgres/message_table.hpp"
#include "unit/protocol/exact.hpp"

namespace forebay::test {

/// One message of a stream, header included. The last one may end behind the stream.
struct Cut {
  std::size_t begin;
  std::size_t size;
  bool passes;
};

/// What a stream consists of, found the plain way: with all bytes in hand, one after another.
struct StreamCuts {
  std::vector<Cut> messages;
  /// Where the first malformed message begins; npos when all are good.
  std::size_t malformed_at = std::string::npos;
};

inline StreamCuts cuts_of(pg::Sender sender, Bytes stream) {
  StreamCuts cuts;
  for (std::size_t at = 0; stream.size() - at >= pg::kHeaderSize;) {
    const pg::MessageKind& kind = pg::message_kind(sender, stream[at]);
    const std::size_t length = load_u32(stream.data() + at + 1);
    if (kind.name == nullptr || length < std::size_t{kind.body_min} + 4 ||
        length > std::size_t{kind.body_max} + 4) {
      cuts.malformed_at = at;
      break;
    }
    cuts.messages.push_back({at, length + 1, kind.look == pg::Look::pass});
    if (length + 1 > stream.size() - at) break;
    at += length + 1;
  }
  return cuts;
}

/// Gives a stream to a framer piece by piece and compares every answer with the one that follows
/// from where the messages are. `complaint()` says what was wrong, and stays empty when nothing
/// was.
class FramerCheck {
 public:
  FramerCheck(pg::Sender sender, Bytes stream, std::size_t whole_max)
      : stream_(stream), cuts_(cuts_of(sender, stream)), whole_max_(whole_max), framer_(sender) {}

  /// So many bytes of the stream have arrived: takes off all that the framer gives.
  void receive(std::size_t received) {
    bool after_run = false;
    while (complaint_.empty()) {
      const Exact input(stream_.substr(taken_, received - taken_));
      const pg::Framer::Item item = framer_.next(input, whole_max_);
      const pg::Framer::Item wanted = expect(input, received);
      compare(item, wanted);
      const bool is_run = item.kind == pg::Framer::Kind::run;
      if (is_run && after_run) complain("two runs side by side");
      after_run = is_run;
      taken_ += item.bytes.size();
      const std::size_t rest = passes_until_ > taken_ ? passes_until_ - taken_ : 0;
      if (framer_.rest() != rest) complain("rest is " + std::to_string(framer_.rest()));
      if (item.bytes.empty()) return;
    }
  }

  [[nodiscard]] std::size_t taken() const noexcept { return taken_; }
  [[nodiscard]] const StreamCuts& cuts() const noexcept { return cuts_; }
  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }

 private:
  using Kind = pg::Framer::Kind;

  /// The message that begins at `at`, if one is known to.
  const Cut* message_at(std::size_t at) {
    while (next_ < cuts_.messages.size() && cuts_.messages[next_].begin < at) ++next_;
    if (next_ == cuts_.messages.size() || cuts_.messages[next_].begin != at) return nullptr;
    return &cuts_.messages[next_];
  }

  /// What the framer must answer to `input`, which ends where `received` bytes of the stream do.
  pg::Framer::Item expect(Bytes input, std::size_t received) {
    pg::Framer::Item item;
    const std::size_t run_end = end_of_run(received);
    if (run_end > taken_) {
      item.kind = Kind::run;
      item.bytes = input.substr(0, run_end - taken_);
    } else if (taken_ < passes_until_) {
      item.need = 1;
    } else if (input.size() < pg::kHeaderSize) {
      item.need = pg::kHeaderSize;
    } else if (taken_ == cuts_.malformed_at) {
      item.kind = Kind::malformed;
      item.message.type = input.front();
    } else {
      expect_message(item, input, message_at(taken_)->size);
    }
    return item;
  }

  void expect_message(pg::Framer::Item& item, Bytes input, std::size_t size) {
    const std::size_t wanted = size <= whole_max_ ? size : std::min(size, pg::kHeadMin);
    if (input.size() < wanted) {
      item.need = wanted;
      return;
    }
    item.kind = input.size() < size ? Kind::head : Kind::message;
    item.bytes = input.substr(0, size);
    item.message.type = input.front();
    item.message.body_size = static_cast<std::uint32_t>(size - pg::kHeaderSize);
    item.message.body = item.bytes.substr(pg::kHeaderSize);
    passes_until_ = taken_ + size;
  }

  /// How far bytes go from `taken_` on that nobody must look at, as far as they have arrived.
  std::size_t end_of_run(std::size_t received) {
    std::size_t at = taken_;
    for (;;) {
      if (at < passes_until_) at = std::min(passes_until_, received);
      if (at < passes_until_ || received - at < pg::kHeaderSize) return at;
      const Cut* message = message_at(at);
      if (message == nullptr || !message->passes) return at;
      passes_until_ = at + message->size;
    }
  }

  void compare(const pg::Framer::Item& item, const pg::Framer::Item& wanted) {
    if (item.kind != wanted.kind) {
      return complain("kind is " + std::to_string(static_cast<int>(item.kind)) + ", wanted " +
                      std::to_string(static_cast<int>(wanted.kind)));
    }
    if (item.need != wanted.need) {
      complain("need is " + std::to_string(item.need) + ", wanted " + std::to_string(wanted.need));
    }
    if (item.bytes.size() != wanted.bytes.size() ||
        (!item.bytes.empty() && item.bytes.data() != wanted.bytes.data())) {
      complain("gave " + std::to_string(item.bytes.size()) + " bytes, wanted " +
               std::to_string(wanted.bytes.size()));
    }
    if (item.message.type != wanted.message.type || item.message.body != wanted.message.body) {
      complain("another message");
    }
    const bool counts = item.kind != Kind::malformed;
    if (counts && item.message.body_size != wanted.message.body_size) complain("another body size");
  }

  void complain(const std::string& what) {
    std::ostringstream text;
    text << what << " at byte " << taken_ << " of " << stream_.size() << ", limit " << whole_max_
         << '\n';
    complaint_ += text.str();
  }

  Bytes stream_;
  StreamCuts cuts_;
  std::size_t whole_max_;
  pg::Framer framer_;
  std::size_t taken_ = 0;
  std::size_t passes_until_ = 0;
  std::size_t next_ = 0;
  std::string complaint_;
};

}  // namespace forebay::test
