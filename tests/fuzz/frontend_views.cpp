#include "forebay/protocol/postgres/frontend.hpp"

#include <string>

#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "fuzz/target.hpp"

/// Every view of a client's messages over the same body. What a view took is written again and must
/// be the same bytes.
namespace {

using namespace forebay;
using namespace forebay::pg;

constexpr std::size_t kHeader = kHeaderSize;

void check_statement_messages(Bytes body) {
  std::string out;
  if (const auto bind = frontend::Bind::parse(body)) {
    MessageWriter(out, Frontend::Bind).text(bind->portal).text(bind->statement).bytes(bind->values);
    FB_ASSERT(Bytes(out).substr(kHeader) == body && fuzz::stands_in(bind->values, body));
  }
  out.clear();
  if (const auto parse = frontend::Parse::parse(body)) {
    write_parse(out, parse->statement, parse->definition);
    FB_ASSERT(Bytes(out).substr(kHeader) == body);
    FB_ASSERT(parse->definition.starts_with(parse->text));
    FB_ASSERT(parse->definition.ends_with(parse->parameter_types));
    FB_ASSERT(parse->definition.size() == parse->text.size() + 1 + parse->parameter_types.size());
  }
  out.clear();
  if (const auto execute = frontend::Execute::parse(body)) {
    write_execute(out, execute->portal, execute->max_rows);
    FB_ASSERT(Bytes(out).substr(kHeader) == body);
  }
  out.clear();
  const auto close = frontend::Close::parse(body);
  const auto describe = frontend::Describe::parse(body);
  FB_ASSERT(close.has_value() == describe.has_value());
  if (close) {
    write_close(out, close->target, close->name);
    FB_ASSERT(Bytes(out).substr(kHeader) == body);
    FB_ASSERT(describe->name == close->name && describe->target == close->target);
  }
}

void check_texts(Bytes body) {
  const auto query = frontend::Query::parse(body);
  const auto fail = frontend::CopyFail::parse(body);
  const auto password = frontend::PasswordMessage::parse(body);
  FB_ASSERT(query.has_value() == (body.find('\0') + 1 == body.size() && !body.empty()));
  FB_ASSERT(fail.has_value() == query.has_value() && password.has_value() == query.has_value());
  if (!query) return;
  FB_ASSERT(query->text == body.substr(0, body.size() - 1));
  FB_ASSERT(fail->reason == query->text && password->password == query->text);
}

void check_sasl(Bytes body) {
  FB_ASSERT(frontend::SASLResponse::parse(body)->response == body);
  const auto initial = frontend::SASLInitialResponse::parse(body);
  if (!initial) return;
  std::string out;
  if (initial->response) {
    write_sasl_initial_response(out, initial->mechanism, *initial->response);
  } else {
    MessageWriter(out, Frontend::Password).text(initial->mechanism).u32(0xffffffff);
  }
  FB_ASSERT(Bytes(out).substr(kHeader) == body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes body = fuzz::bytes_of(data, size);
  check_statement_messages(body);
  check_texts(body);
  check_sasl(body);
  return 0;
}
