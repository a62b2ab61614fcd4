#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "forebay/auth/scram_keys.hpp"
#include "forebay/base/bytes.hpp"

/// What both sides of SCRAM share (RFC 5802, section 7, "Formal Syntax").
namespace forebay::auth {

inline constexpr Bytes kEndPointFlag = "p=tls-server-end-point";

/// Reads `name=value` attributes, separated by commas, in the order in which they must stand.
/// After a failure nothing more is read; `complaint` says what was wrong.
class Attributes {
 public:
  explicit Attributes(Bytes message) noexcept : message_(message) {}

  /// The value of the next attribute, which must be `name`.
  std::optional<Bytes> value_of(char name) noexcept;
  /// Passes extensions (attributes that the RFC gave no meaning yet; they may be ignored) up to an
  /// attribute with one, or to the end. Fails at "m", an extension that must not be ignored.
  bool skip_extensions() noexcept;

  /// Whether all was read.
  [[nodiscard]] bool at_end() const noexcept { return at_ == message_.size() && !comma_; }
  /// All before the attribute that comes next, without the comma between.
  [[nodiscard]] Bytes before() const noexcept { return message_.substr(0, comma_ ? at_ - 1 : at_); }
  [[nodiscard]] bool mandatory_extension() const noexcept { return mandatory_; }
  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }

 private:
  std::optional<Bytes> fail(std::string complaint) noexcept;
  [[nodiscard]] char peek() const noexcept { return at_ < message_.size() ? message_[at_] : '\0'; }

  Bytes message_;
  std::size_t at_ = 0;
  bool comma_ = false;  ///< an attribute must follow
  bool mandatory_ = false;
  std::string complaint_;
};

/// Why a message cannot be SCRAM at all: empty, too long, a NUL byte; nothing if it may be.
std::optional<std::string> check_scram_message(Bytes message) noexcept;

/// "printable" of the RFC: visible ASCII but the comma.
bool is_printable(Bytes text) noexcept;
/// For errors and logs: at most 64 bytes of what a peer sent, the unprintable ones as "?".
std::string sanitized(Bytes text) noexcept;

/// "posit-number" of the RFC, up to kScramStoredIterationsMax.
std::optional<std::uint32_t> parse_iterations(Bytes text) noexcept;

/// HMAC of AuthMessage: ClientSignature for StoredKey, ServerSignature for ServerKey.
Key scram_signature(const Key& key, Bytes client_first_bare, Bytes server_first,
                    Bytes client_final_without_proof) noexcept;

}  // namespace forebay::auth
