#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/engine/buffer.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/core/io.hpp"

namespace forebay::core {

/// What one turn sends to one peer: runs of the bytes that just arrived, and bytes of our own
/// between them, in order. At the end of the turn all of it leaves in one send; what the peer does
/// not take moves to the peer's stash of unsent bytes.
///
/// A run that goes alone is borrowed: it must stay where it is until `flush`. Beside bytes of our
/// own, small runs are copied next to them at once, and large ones are gathered: copying some
/// hundred bytes costs less than one more element of a gather write.
class Conduit {
 public:
  /// These bytes, which stand in the receive buffer, go next.
  void pass(Bytes run);
  /// To be appended to: what is appended goes next. Valid until the next other call.
  std::string& insert() {
    if (sealed_ == inserted_.size() && !segments_.empty()) absorb();
    return inserted_;
  }

  [[nodiscard]] bool empty() const noexcept {
    return segments_.empty() && sealed_ == inserted_.size();
  }
  /// Bytes collected so far.
  [[nodiscard]] std::size_t size() const noexcept;

  /// Sends everything to `to`, or behind `unsent` when that holds bytes already, and is empty
  /// again. Gives true when nothing is left unsent.
  bool flush(Stream& to, Stash& unsent, BufferPool& pool);
  /// Keeps everything behind `stash` instead, and is empty again.
  void keep(Stash& stash, BufferPool& pool);
  /// Forgets everything.
  void clear() noexcept;

  /// Offers `unsent` again. True when nothing is left.
  static bool resend(Stream& to, Stash& unsent, BufferPool& pool);

 private:
  // A run that was passed, or (data null) a piece of inserted_ at an offset.
  struct Segment {
    const char* data;
    std::size_t offset;
    std::size_t size;
  };

  void borrow(Bytes run);
  void absorb();
  void seal();
  [[nodiscard]] Bytes bytes_of(const Segment& segment) const noexcept;

  std::vector<Segment> segments_;
  std::string inserted_;
  std::size_t sealed_ = 0;  ///< bytes of inserted_ that are in segments_
  /// The end of the run that was copied last, and how much of what ends there was copied.
  const char* copied_end_ = nullptr;
  std::size_t copied_ = 0;
  std::vector<Bytes> pieces_;
};

}  // namespace forebay::core
