#include "forebay/protocol/postgres/startup.hpp"

#include <string>

#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "fuzz/target.hpp"

/// The first packet of a client.
namespace {

using namespace forebay;

void check(const pg::ParsedStartup& parsed, Bytes input) {
  const Bytes packet = input.substr(0, parsed.size);
  if (const auto* more = std::get_if<pg::NeedMore>(&parsed.packet)) {
    FB_ASSERT(parsed.size == 0);
    FB_ASSERT(more->total > input.size() && more->total <= pg::kStartupPacketMax);
  } else if (const auto* startup = std::get_if<pg::StartupMessage>(&parsed.packet)) {
    std::string again;
    pg::write_startup(again, startup->version, startup->parameters);
    FB_ASSERT(startup->major() == 3);
    FB_ASSERT(again == packet);
    for (const auto& [name, value] : startup->parameters) {
      FB_ASSERT(startup->value(name) == value);
    }
  } else if (const auto* cancel = std::get_if<pg::CancelRequest>(&parsed.packet)) {
    std::string again;
    pg::write_cancel_request(again, cancel->process_id, cancel->key);
    FB_ASSERT(cancel->key.size() >= 4 && cancel->key.size() <= 256);
    FB_ASSERT(again == packet);
  } else {
    const bool tls = std::holds_alternative<pg::DirectTls>(parsed.packet);
    FB_ASSERT(parsed.size == (tls ? 0 : 8));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input = fuzz::bytes_of(data, size);
  const auto parsed = pg::parse_startup(input);
  if (parsed.has_value()) {
    check(*parsed, input);
  } else {
    FB_ASSERT(!parsed.error().message.empty() && parsed.error().sqlstate.size() == 5);
  }
  // Half of it says the same, or that more is needed.
  const auto half = pg::parse_startup(input.substr(0, size / 2));
  if (half.has_value()) {
    check(*half, input.substr(0, size / 2));
  } else {
    FB_ASSERT(!parsed.has_value() && parsed.error().message == half.error().message);
  }
  return 0;
}
