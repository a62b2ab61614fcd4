#include "forebay/routing/cluster/etcd.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <map>
#include <optional>
#include <utility>

#include "forebay/config/uri.hpp"
#include "routing/cluster/json.hpp"

namespace forebay::routing {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kKeysMax = 256;
constexpr std::size_t kMembersMax = 64;
constexpr std::string_view kMembers = "members/";

std::string encoded(std::string_view bytes) {
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char byte : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(byte);
    for (count += 8; count >= 6; count -= 6) text += kDigits[bits >> (count - 6) & 63];
  }
  if (count > 0) text += kDigits[bits << (6 - count) & 63];
  while (text.size() % 4 != 0) text += '=';
  return text;
}

std::optional<std::string> decoded(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char letter : text) {
    const std::size_t digit = kDigits.find(letter);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 255);
  }
  return bytes;
}

/// Text in base64, of any length; empty where there is none.
std::optional<std::string> bytes_in(const boost::json::object& object, std::string_view key) {
  const auto* value = object.if_contains(boost::json::string_view(key.data(), key.size()));
  if (value == nullptr) return std::string();
  const auto* text = value->if_string();
  return text == nullptr ? std::nullopt : decoded({text->data(), text->size()});
}

/// Numbers are strings in etcd's JSON.
bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

/// What the name of a key below the prefix begins with is what matters.
bool matters(std::string_view name) {
  return name == "leader" || name == "config" || name == "failover" || name.starts_with(kMembers);
}

std::string prefix_end(std::string prefix) {
  ++prefix.back();  // it ends with a slash
  return prefix;
}

PatroniMember read_member(std::string name, const boost::json::object& said) {
  PatroniMember member;
  member.name = std::move(name);
  member.role = short_text(said, "role");
  member.state = short_text(said, "state");
  member.timeline = small_number(said, "timeline");
  if (const auto* tags = object_in(said, "tags")) member.no_reads = flag(*tags, "noloadbalance");
  if (const auto url = config::endpoints_from_uri(short_text(said, "conn_url"))) {
    if (url->hosts.size() == 1) member.address = url->hosts.front();
  }
  return member;
}

using Values = std::map<std::string, std::string, std::less<>>;

Result<Values> values_of(const boost::json::object& said, std::string_view prefix) {
  Values values;
  const auto* keys = array_in(said, "kvs");
  if (keys == nullptr) return values;
  if (keys->size() > kKeysMax) return failure("it has too many keys");
  for (const auto& each : *keys) {
    const auto* object = each.if_object();
    if (object == nullptr) return failure("a key is no object");
    auto key = bytes_in(*object, "key");
    auto value = bytes_in(*object, "value");
    if (!key || !value) return failure("a key is no base64");
    if (key->starts_with(prefix)) values.emplace(key->substr(prefix.size()), std::move(*value));
  }
  return values;
}

// Neither a leader nor a candidate: one was asked for, and is over.
std::optional<PatroniSwitchover> switchover_of(std::string_view value) {
  const auto said = parse_json_object(value);
  if (!said) return std::nullopt;
  PatroniSwitchover asked{short_text(*said, "leader"), short_text(*said, "member"), {}};
  if (asked.from.empty() && asked.to.empty()) return std::nullopt;
  if (const std::string at = short_text(*said, "scheduled_at"); !at.empty()) {
    asked.at = parse_moment(at);
    if (!asked.at) return std::nullopt;
  }
  return asked;
}

// A lock that nobody's key belongs to leads nowhere.
Result<PatroniCluster> cluster_of(const Values& values) {
  PatroniCluster cluster;
  const auto leader = values.find("leader");
  for (const auto& [name, value] : values) {
    if (name == "config") {
      if (const auto said = parse_json_object(value)) cluster.paused = flag(*said, "pause");
    }
    if (name == "failover") cluster.switchover = switchover_of(value);
    if (!name.starts_with(kMembers)) continue;
    const auto said = parse_json_object(value);
    if (!said)
      return failure("member " + name.substr(kMembers.size()) + ": " + said.error().message);
    if (!is_short(std::string_view(name).substr(kMembers.size()))) {
      return failure("the name of a member is too long, or has control characters in it");
    }
    PatroniMember member = read_member(name.substr(kMembers.size()), *said);
    const bool locks = leader != values.end() && leader->second == member.name;
    if (locks && member.role != "standby_leader") {
      member.leads = true;
      member.role = "leader";
    } else if (member.role == "master" || member.role == "primary") {
      member.role = "primary without the leader's lock";
    }
    cluster.members.push_back(std::move(member));
  }
  if (cluster.members.size() > kMembersMax) return failure("it has too many members");
  return cluster;
}

}  // namespace

std::string etcd_prefix(std::string_view name_space, std::string_view scope) {
  while (name_space.starts_with('/')) name_space.remove_prefix(1);
  while (name_space.ends_with('/')) name_space.remove_suffix(1);
  return "/" + std::string(name_space) + "/" + std::string(scope) + "/";
}

std::string etcd_range_request(const std::string& prefix) {
  return R"({"key":")" + encoded(prefix) + R"(","range_end":")" + encoded(prefix_end(prefix)) +
         R"(","limit":")" + std::to_string(kKeysMax) + R"("})";
}

std::string etcd_watch_request(const std::string& prefix, const std::string& revision) {
  std::uint64_t from = 0;
  for (const char digit : revision) from = from * 10 + static_cast<std::uint64_t>(digit - '0');
  return R"({"create_request":{"key":")" + encoded(prefix) + R"(","range_end":")" +
         encoded(prefix_end(prefix)) + R"(","start_revision":")" + std::to_string(from + 1) +
         R"("}})";
}

Result<EtcdAnswer> parse_etcd_range(std::string_view json, std::string_view prefix) {
  const auto said = parse_json_object(json);
  if (!said) return said.error();
  EtcdAnswer answer;
  const auto* header = object_in(*said, "header");
  if (header != nullptr) answer.revision = short_text(*header, "revision");
  if (!is_number(answer.revision) || answer.revision.size() > 19) {
    return failure("it has no revision");
  }
  auto values = values_of(*said, prefix);
  if (!values) return values.error();
  if (values->empty()) {
    return failure("there are no keys below " + std::string(prefix) +
                   " (see etcd_namespace and etcd_scope)");
  }
  auto cluster = cluster_of(*values);
  if (!cluster) return cluster.error();
  answer.cluster = std::move(*cluster);
  return answer;
}

EtcdEvent parse_etcd_event(std::string_view json, std::string_view prefix) {
  const auto said = parse_json_object(json);
  if (!said) return EtcdEvent::ended;
  const auto* result = object_in(*said, "result");
  if (result == nullptr || flag(*result, "canceled")) return EtcdEvent::ended;
  const auto* events = array_in(*result, "events");
  if (events == nullptr) return EtcdEvent::nothing;
  const bool news = std::any_of(events->begin(), events->end(), [&](const auto& each) {
    const auto* event = each.if_object();
    const auto* pair = event == nullptr ? nullptr : object_in(*event, "kv");
    const auto key = pair == nullptr ? std::nullopt : bytes_in(*pair, "key");
    return key && key->starts_with(prefix) && matters(std::string_view(*key).substr(prefix.size()));
  });
  return news ? EtcdEvent::news : EtcdEvent::nothing;
}

}  // namespace forebay::routing
