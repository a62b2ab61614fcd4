#include "forebay/routing/cluster/patroni.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <utility>

#include "routing/cluster/json.hpp"

namespace forebay::routing {
namespace {

constexpr std::size_t kPatroniMembersMax = 64;

Result<PatroniMember> read_member(const boost::json::object& said) {
  PatroniMember member;
  member.name = short_text(said, "name");
  if (member.name.empty()) return failure("a member has no name");
  member.role = short_text(said, "role");
  member.state = short_text(said, "state");
  member.timeline = small_number(said, "timeline");
  member.leads = member.role == "leader" || member.role == "master" || member.role == "primary";
  if (const auto* tags = object_in(said, "tags")) member.no_reads = flag(*tags, "noloadbalance");
  const std::uint32_t port = small_number(said, "port");
  if (port > 0 && port <= 65535) {
    member.address = {short_text(said, "host"), static_cast<std::uint16_t>(port)};
  }
  return member;
}

std::string text_of(const PatroniHost& host) {
  return host.known ? to_string(host) : "not a member";
}

}  // namespace

Result<PatroniCluster> parse_patroni_cluster(std::string_view json) {
  const auto said = parse_json_object(json);
  if (!said) return said.error();
  const auto* members = array_in(*said, "members");
  if (members == nullptr) return failure("it has no members");
  if (members->size() > kPatroniMembersMax) {
    return failure("it has more than " + std::to_string(kPatroniMembersMax) + " members");
  }
  PatroniCluster cluster;
  cluster.paused = flag(*said, "pause");
  for (const boost::json::value& each : *members) {
    const auto* object = each.if_object();
    if (object == nullptr) return failure("a member is no object");
    auto member = read_member(*object);
    if (!member) return member.error();
    cluster.members.push_back(std::move(*member));
  }
  const auto leads = [](const PatroniMember& member) { return member.leads; };
  if (std::ranges::count_if(cluster.members, leads) > 1) return failure("it has two leaders");
  return cluster;
}

std::string to_string(const PatroniHost& host) {
  std::string text = host.name + ":";
  const char* separator = " ";
  const auto add = [&](const std::string& word) {
    if (word.empty()) return;
    text += separator + word;
    separator = ", ";
  };
  add(host.role);
  add(host.state);
  if (host.timeline != 0) add("timeline " + std::to_string(host.timeline));
  if (host.no_reads) add("noloadbalance");
  return text;
}

PatroniWord patroni_word(const PatroniCluster& cluster, const std::vector<Endpoint>& hosts,
                         const SameHost& same, std::vector<std::string>* strangers) {
  PatroniWord word;
  word.paused = cluster.paused;
  word.hosts.resize(hosts.size());
  for (const PatroniMember& member : cluster.members) {
    std::size_t i = 0;
    while (i < hosts.size() && (word.hosts[i].known || member.address.host.empty() ||
                                !same(hosts[i], member.address))) {
      ++i;
    }
    if (i == hosts.size()) {
      if (strangers != nullptr) strangers->push_back(member.name);
      continue;
    }
    word.hosts[i] = {true,         member.name,     member.role,
                     member.state, member.timeline, member.no_reads};
    if (member.leads) word.leader = i;
  }
  return word;
}

std::vector<std::string> patroni_news(const PatroniWord* before, const PatroniWord& after) {
  std::vector<std::string> news;
  for (std::size_t i = 0; i < after.hosts.size(); ++i) {
    const PatroniHost was = before == nullptr ? PatroniHost{} : before->hosts[i];
    if (was == after.hosts[i]) continue;
    news.push_back(before == nullptr ? text_of(after.hosts[i])
                                     : text_of(after.hosts[i]) + " (before: " + text_of(was) + ")");
  }
  const std::optional<std::size_t> led = before == nullptr ? std::nullopt : before->leader;
  if (!after.leader && (led || before == nullptr))
    news.emplace_back("no host has the leader's lock");
  if (after.leader && before != nullptr && led != after.leader) {
    news.push_back(after.hosts[*after.leader].name + " has the leader's lock");
  }
  if (after.paused != (before != nullptr && before->paused)) {
    news.emplace_back(after.paused ? "it is paused" : "it is no longer paused");
  }
  return news;
}

}  // namespace forebay::routing
