#include <algorithm>

#include "admin/command.hpp"
#include "admin/show.hpp"
#include "forebay/config/difference.hpp"

// SHOW VERSION, HELP, CONFIG, MEM, DNS_HOSTS, DNS_ZONES, FDS, and what drivers ask at start.
namespace forebay::admin {
namespace {

constexpr Type kInt = Type::int4;

constexpr Column kVersion[] = {{"version"}};
constexpr Column kHelp[] = {{"command"}, {"who"}};
constexpr Column kConfig[] = {{"key"}, {"value"}, {"default"}, {"changeable"}};
constexpr Column kConfigExtended[] = {{"key"},        {"value"},  {"default"},
                                      {"changeable"}, {"source"}, {"effect"}};
constexpr Column kMem[] = {
    {"name"}, {"size", kInt}, {"used", kInt}, {"free", kInt}, {"memtotal", kInt}};
constexpr Column kDnsHosts[] = {{"hostname"}, {"ttl", Type::int8}, {"addrs"}};
constexpr Column kDnsZones[] = {{"zonename"}, {"serial"}, {"count", kInt}};
constexpr Column kFds[] = {{"fd", kInt},           {"task"},      {"user"},
                           {"database"},           {"addr"},      {"port", kInt},
                           {"cancel", Type::int8}, {"link", kInt}};

Rows nothing(const View&) {
  return {};
}

Rows dns_hosts(const View& view) {
  Rows rows;
  if (view.shared.control == nullptr) return rows;
  for (const core::NamedHost& host : view.shared.control->named_hosts()) {
    std::string addresses;
    for (const std::string& each : host.addresses) {
      addresses += (addresses.empty() ? "" : ",") + each;
    }
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(host.kept).count();
    rows.push_back({host.name, std::max<std::int64_t>(left, 0), addresses});
  }
  return rows;
}

// Monitoring reads PgBouncer's version from here, to know which columns it will find.
Rows version(const View&) {
  return {{"PgBouncer 1.24.0 (Forebay)"}};
}

Rows help(const View&) {
  Rows rows;
  for (const ShowLine& line : shows()) {
    if (!line.hidden) {
      rows.push_back({"SHOW " + std::string(line.name), line.admin_only ? "admin" : "stats"});
    }
  }
  rows.push_back({"EXPLAIN ROUTE [FOR database] statement", "stats"});
  for (const ActionLine& line : actions()) {
    if (line.role != Role::admin) continue;
    std::string text(line.words);
    if (line.argument == Argument::database) text += " database";
    if (line.argument == Argument::perhaps_database) text += " [database]";
    if (line.argument == Argument::client) text += " id";
    if (line.argument == Argument::host) text += " host";
    if (line.argument == Argument::ordered_host) text += " host [FOR time] [REASON text]";
    if (line.argument == Argument::setting) text += " key = value";
    if (line.argument >= Argument::tenant) text += " name";
    if (line.argument == Argument::tenant_limits) text += " limit = value [, ...]";
    if (line.argument > Argument::tenant) text += " [FOR 'time'] [REASON 'text']";
    rows.push_back({text, "admin"});
  }
  return rows;
}

// As PgBouncer names them: general keys alone, those of an entry with their section.
std::string key_name(const config::Setting& setting) {
  constexpr std::string_view kAlone[] = {"forebay", "pool"};
  const bool alone = std::ranges::find(kAlone, setting.section) != std::end(kAlone);
  return alone ? setting.key : setting.section + "." + setting.key;
}

// PgBouncer shows values without TOML's quotes.
std::string plain(const std::string& value) {
  const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  return quoted ? value.substr(1, value.size() - 2) : value;
}

Rows configuration(const View& view) {
  Rows rows;
  for (const config::Setting& setting : config::describe(view.config, {})) {
    rows.push_back({key_name(setting), plain(setting.value), plain(setting.otherwise),
                    setting.changeable() ? "yes" : "no"});
  }
  return rows;
}

// Also where a value comes from: a place in a file, SET, or nowhere.
Rows configuration_extended(const View& view) {
  Rows rows;
  for (const config::Setting& setting : config::describe(view.config, view.sources)) {
    rows.push_back({key_name(setting), plain(setting.value), plain(setting.otherwise),
                    setting.changeable() ? "yes" : "no", setting.source,
                    std::string(to_string(setting.effect))});
  }
  return rows;
}

// What drivers and tools ask of every session.
constexpr Column kEncoding[] = {{"client_encoding"}};
constexpr Column kStrings[] = {{"standard_conforming_strings"}};
constexpr Column kIsolation[] = {{"transaction_isolation"}};
constexpr Column kDateStyle[] = {{"DateStyle"}};
constexpr Column kTimeZone[] = {{"TimeZone"}};
constexpr Column kLiteral[] = {{"?column?", kInt}};

}  // namespace

std::vector<ShowLine> show_process() {
  std::vector<ShowLine> lines = {
      {"VERSION", kVersion, version},
      {"HELP", kHelp, help},
      {"CONFIG", kConfig, configuration, false, true},
      {"CONFIG EXTENDED", kConfigExtended, configuration_extended, false, true},
      {"MEM", kMem, nothing},
      {"DNS_HOSTS", kDnsHosts, dns_hosts},
      {"DNS_ZONES", kDnsZones, nothing},
      {"FDS", kFds, nothing, false, true},
  };
  constexpr bool kHidden = true;
  const auto fixed = [&](std::string_view name, std::span<const Column> columns,
                         Rows (*rows)(const View&)) {
    lines.push_back({name, columns, rows, false, false, kHidden});
  };
  fixed("CLIENT_ENCODING", kEncoding, [](const View&) { return Rows{{"UTF8"}}; });
  fixed("STANDARD_CONFORMING_STRINGS", kStrings, [](const View&) { return Rows{{"on"}}; });
  fixed("TRANSACTION ISOLATION LEVEL", kIsolation,
        [](const View&) { return Rows{{"read committed"}}; });
  fixed("TRANSACTION_ISOLATION", kIsolation, [](const View&) { return Rows{{"read committed"}}; });
  fixed("DATESTYLE", kDateStyle, [](const View&) { return Rows{{"ISO, MDY"}}; });
  fixed("TIMEZONE", kTimeZone, [](const View&) { return Rows{{"GMT"}}; });
  fixed(kSelectLiteral, kLiteral, nothing);
  return lines;
}

}  // namespace forebay::admin
