#include "forebay/protocol/postgres/startup.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/reader.hpp"
#include "forebay/protocol/postgres/writer.hpp"
#include "fuzz/target.hpp"

/// The first packet of a client.
namespace {

using namespace forebay;

/// Of a parameter that is sent twice the last value counts; without such a one, what was taken is
/// written again and gives the same bytes.
void check_parameters(const pg::StartupMessage& startup, Bytes packet) {
  std::vector<std::pair<Bytes, Bytes>> sent;
  pg::Reader in(packet.substr(8));
  for (Bytes name = in.text(); !name.empty(); name = in.text()) sent.emplace_back(name, in.text());
  FB_ASSERT(in.done());
  std::map<Bytes, Bytes> last;
  for (const auto& [name, value] : sent) last[name] = value;
  FB_ASSERT(startup.parameters.size() == last.size());
  for (const auto& [name, value] : last) FB_ASSERT(startup.value(name) == value);
  if (last.size() < sent.size()) return;
  std::string again;
  pg::write_startup(again, startup.version, startup.parameters);
  FB_ASSERT(again == packet);
}

void check(const pg::ParsedStartup& parsed, Bytes input) {
  const Bytes packet = input.substr(0, parsed.size);
  if (const auto* more = std::get_if<pg::NeedMore>(&parsed.packet)) {
    FB_ASSERT(parsed.size == 0);
    FB_ASSERT(more->total > input.size() && more->total <= pg::kStartupPacketMax);
  } else if (const auto* startup = std::get_if<pg::StartupMessage>(&parsed.packet)) {
    FB_ASSERT(startup->major() == 3);
    check_parameters(*startup, packet);
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
