#include "forebay/protocol/postgres/frontend.hpp"

#include "forebay/protocol/postgres/reader.hpp"

namespace forebay::pg::frontend {
namespace {

std::optional<Target> target_of(std::uint8_t byte) noexcept {
  if (byte == 'S') return Target::statement;
  if (byte == 'P') return Target::portal;
  return std::nullopt;
}

}  // namespace

std::optional<Bind> Bind::parse(Bytes body) noexcept {
  Reader in(body);
  Bind bind;
  bind.portal = in.text();
  bind.statement = in.text();
  if (!in.ok()) return std::nullopt;
  bind.values = in.rest();
  return bind;
}

std::optional<Close> Close::parse(Bytes body) noexcept {
  Reader in(body);
  const auto what = target_of(in.u8());
  const Bytes name = in.text();
  if (!in.done() || !what) return std::nullopt;
  return Close{*what, name};
}

std::optional<CopyFail> CopyFail::parse(Bytes body) noexcept {
  Reader in(body);
  const CopyFail fail{in.text()};
  if (!in.done()) return std::nullopt;
  return fail;
}

std::optional<Describe> Describe::parse(Bytes body) noexcept {
  Reader in(body);
  const auto what = target_of(in.u8());
  const Bytes name = in.text();
  if (!in.done() || !what) return std::nullopt;
  return Describe{*what, name};
}

std::optional<Execute> Execute::parse(Bytes body) noexcept {
  Reader in(body);
  Execute execute;
  execute.portal = in.text();
  execute.max_rows = in.u32();
  if (!in.done()) return std::nullopt;
  return execute;
}

std::optional<Parse> Parse::parse(Bytes body) noexcept {
  Reader in(body);
  Parse parse;
  parse.statement = in.text();
  parse.definition = body.substr(body.size() - in.left());
  parse.text = in.text();
  parse.parameter_types = body.substr(body.size() - in.left());
  const std::size_t count = in.u16();
  in.bytes(count * 4);
  if (!in.done()) return std::nullopt;
  return parse;
}

std::optional<PasswordMessage> PasswordMessage::parse(Bytes body) noexcept {
  Reader in(body);
  const PasswordMessage message{in.text()};
  if (!in.done()) return std::nullopt;
  return message;
}

std::optional<Query> Query::parse(Bytes body) noexcept {
  Reader in(body);
  const Query query{in.text()};
  if (!in.done()) return std::nullopt;
  return query;
}

std::optional<SASLInitialResponse> SASLInitialResponse::parse(Bytes body) noexcept {
  Reader in(body);
  SASLInitialResponse initial;
  initial.mechanism = in.text();
  const std::int32_t length = in.i32();
  if (length >= 0) {
    initial.response = in.bytes(static_cast<std::size_t>(length));
  } else if (length != -1) {
    return std::nullopt;
  }
  if (!in.done()) return std::nullopt;
  return initial;
}

std::optional<SASLResponse> SASLResponse::parse(Bytes body) noexcept { return SASLResponse{body}; }

}  // namespace forebay::pg::frontend
