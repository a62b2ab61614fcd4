#include <string>

#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "fuzz/target.hpp"

/// ErrorResponse and NoticeResponse, whole and as mere heads.
using namespace forebay;
using namespace forebay::pg;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes body = fuzz::bytes_of(data, size);
  const auto fields = backend::Fields::parse(body);
  for (const Bytes field :
       {fields.severity, fields.sqlstate, fields.message, fields.detail, fields.hint}) {
    FB_ASSERT(fuzz::stands_in(field, body) && field.find('\0') == Bytes::npos);
  }
  // What we write of it says the same.
  std::string out;
  write_error(out, {fields.severity, fields.sqlstate, fields.message, fields.detail, fields.hint});
  const auto again = backend::Fields::parse(Bytes(out).substr(kHeaderSize));
  FB_ASSERT(again.severity == fields.severity && again.sqlstate == fields.sqlstate);
  FB_ASSERT(again.message == fields.message && again.detail == fields.detail);
  FB_ASSERT(again.hint == fields.hint && again.fatal() == fields.fatal());
  return 0;
}
