#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/relay/relay_state.hpp"
#include "core/relay/side_effects.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/base/time.hpp"

namespace forebay::core {

/// The question to a server what the code in its catalog does to the session of who runs it, and
/// its answer. On a connection that is nobody's, at rest, and outside of a transaction.
class EffectsQuestion {
 public:
  enum class Heard : std::uint8_t {
    more,    ///< it has not been answered yet
    all,     ///< it has: `effects`, or `error`
    broken,  ///< the server broke the protocol, or is not at rest
  };

  /// The text, which the server bounds itself.
  static Bytes text() noexcept;

  explicit EffectsQuestion(Instant now) noexcept : asked_(now) {}

  /// Takes whole messages off the front of `bytes`. What the server reports goes to `reported`.
  Heard hear(Bytes bytes, std::size_t& consumed, Welcome& reported);

  [[nodiscard]] Instant asked() const noexcept { return asked_; }
  /// What the server said instead of an answer; empty where it answered.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }
  std::vector<SideEffect> take() noexcept { return std::move(effects_); }
  /// Whether something in the catalog asks for currval or lastval.
  [[nodiscard]] bool asks_sequences() const noexcept { return asks_sequences_; }

 private:
  Heard hear_one(char type, Bytes body, Welcome& reported);
  bool read_row(Bytes body);

  std::vector<SideEffect> effects_;
  std::string error_;
  std::size_t rows_ = 0;
  bool asks_sequences_ = false;
  Instant asked_;
};

}  // namespace forebay::core
