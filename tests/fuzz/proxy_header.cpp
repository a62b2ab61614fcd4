#include "core/client/proxy_header.hpp"

#include "forebay/base/assert.hpp"
#include "fuzz/target.hpp"

/// What a balancer says before its client's first byte.
using namespace forebay;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input = fuzz::bytes_of(data, size);
  const auto header = core::parse_proxy_header(input);
  if (!header.has_value()) {
    FB_ASSERT(!header.error().message.empty());
    return 0;
  }
  FB_ASSERT(header->size <= input.size() && header->size <= core::kProxyHeaderMax);
  FB_ASSERT(header->size > 0 || input.size() < core::kProxyHeaderMax);
  FB_ASSERT(header->size > 0 || !header->source);
  // A whole one says the same without what follows; less than it is not enough.
  if (header->size == 0) return 0;
  const auto alone = core::parse_proxy_header(input.substr(0, header->size));
  FB_ASSERT(alone.has_value() && alone->size == header->size);
  const auto less = core::parse_proxy_header(input.substr(0, header->size - 1));
  FB_ASSERT(less.has_value() && less->size == 0);
  return 0;
}
