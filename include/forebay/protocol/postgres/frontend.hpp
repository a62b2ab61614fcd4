#pragma once

#include <cstdint>
#include <optional>

#include "forebay/base/bytes.hpp"

/// Views of the messages that a client sends, named and ordered as in the manual's "Message
/// Formats". `parse(body)` gives nothing when the body is not well formed. All views live as long
/// as the body they were made from. FunctionCall, CopyData, CopyDone, Flush, Sync and Terminate
/// have nothing that we look at, hence no view.
namespace forebay::pg::frontend {

/// Bind. Only the two names are decoded; `values` is the rest, untouched: parameter formats,
/// parameter values, result formats.
struct Bind {
  Bytes portal;
  Bytes statement;
  Bytes values;
  static std::optional<Bind> parse(Bytes body) noexcept;
};

/// Whether Close and Describe speak of a prepared statement or of a portal.
enum class Target : char { statement = 'S', portal = 'P' };

struct Close {
  Target target;
  Bytes name;
  static std::optional<Close> parse(Bytes body) noexcept;
};

struct CopyFail {
  Bytes reason;
  static std::optional<CopyFail> parse(Bytes body) noexcept;
};

struct Describe {
  Target target;
  Bytes name;
  static std::optional<Describe> parse(Bytes body) noexcept;
};

struct Execute {
  Bytes portal;
  std::uint32_t max_rows;  ///< 0 for all
  static std::optional<Execute> parse(Bytes body) noexcept;
};

/// Parse. `definition` is all after the name: text, NUL, and the parameter types. Two Parse
/// messages with equal definitions make interchangeable statements.
struct Parse {
  Bytes statement;
  Bytes text;
  Bytes parameter_types;  ///< Int16 count, then Int32 each, as on the wire
  Bytes definition;
  static std::optional<Parse> parse(Bytes body) noexcept;
};

struct PasswordMessage {
  Bytes password;
  static std::optional<PasswordMessage> parse(Bytes body) noexcept;
};

struct Query {
  Bytes text;
  static std::optional<Query> parse(Bytes body) noexcept;
};

struct SASLInitialResponse {
  Bytes mechanism;
  std::optional<Bytes> response;
  static std::optional<SASLInitialResponse> parse(Bytes body) noexcept;
};

struct SASLResponse {
  Bytes response;
  static std::optional<SASLResponse> parse(Bytes body) noexcept;
};

}  // namespace forebay::pg::frontend
