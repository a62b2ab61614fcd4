#include "forebay/routing/cluster/patroni.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>
#include <chrono>
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

std::optional<PatroniSwitchover> scheduled(const boost::json::object& said) {
  const auto* scheduled = object_in(said, "scheduled_switchover");
  if (scheduled == nullptr) return std::nullopt;
  const auto at = parse_moment(short_text(*scheduled, "at"));
  if (!at) return std::nullopt;
  return PatroniSwitchover{short_text(*scheduled, "from"), short_text(*scheduled, "to"), at};
}

// One to the host that leads is none.
std::optional<std::size_t> leaving(const PatroniSwitchover& asked, const PatroniWord& word) {
  const auto leads = [&](const PatroniHost& host) { return host.known && host.name == asked.from; };
  auto host = word.leader;
  if (!asked.from.empty()) {
    const auto named = std::ranges::find_if(word.hosts, leads);
    if (named == word.hosts.end()) return std::nullopt;
    host = static_cast<std::size_t>(named - word.hosts.begin());
  }
  return host && word.hosts[*host].name != asked.to ? host : std::nullopt;
}

/// Takes digits of `text`; nothing where there are fewer.
std::optional<int> digits(std::string_view& text, std::size_t count) {
  int number = 0;
  const char* end = text.data() + std::min(count, text.size());
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != text.data() + count || number < 0) return std::nullopt;
  text.remove_prefix(count);
  return number;
}

bool take(std::string_view& text, char letter) {
  if (!text.starts_with(letter)) return false;
  text.remove_prefix(1);
  return true;
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
  cluster.switchover = scheduled(*said);
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

std::optional<std::chrono::system_clock::time_point> parse_moment(std::string_view text) {
  using namespace std::chrono;
  const auto year = digits(text, 4);
  const bool day_follows = take(text, '-');
  const auto month = digits(text, 2);
  const bool days = take(text, '-');
  const auto day = digits(text, 2);
  const bool time = take(text, 'T') || take(text, ' ');
  const auto hour = digits(text, 2);
  const bool minutes = take(text, ':');
  const auto minute = digits(text, 2);
  if (!year || !day_follows || !month || !days || !day || !time || !hour || !minutes || !minute) {
    return std::nullopt;
  }
  constexpr int kYearMax = 2200;  // what counts nanoseconds goes little further
  if (*year > kYearMax || *hour > 23 || *minute > 59) return std::nullopt;
  const year_month_day date{std::chrono::year(*year), std::chrono::month(unsigned(*month)),
                            std::chrono::day(unsigned(*day))};
  if (!date.ok()) return std::nullopt;
  std::optional<int> second = 0;
  if (take(text, ':') && (!(second = digits(text, 2)) || *second > 60)) return std::nullopt;
  milliseconds part{0};
  if (take(text, '.')) {
    for (int unit = 100; !text.empty() && text.front() >= '0' && text.front() <= '9'; unit /= 10) {
      part += milliseconds(unit * (text.front() - '0'));
      text.remove_prefix(1);
    }
  }
  const auto local =
      sys_days(date) + hours(*hour) + std::chrono::minutes(*minute) + seconds(*second) + part;
  if (text == "Z") return local;
  const bool east = take(text, '+');
  if (!east && !take(text, '-')) return std::nullopt;
  const auto hours_off = digits(text, 2);
  take(text, ':');
  const auto minutes_off = text.empty() ? 0 : digits(text, 2);
  if (!hours_off || !minutes_off || *hours_off > 23 || !text.empty()) return std::nullopt;
  const auto off = hours(*hours_off) + std::chrono::minutes(*minutes_off);
  return east ? local - off : local + off;
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
  // While it is paused, nothing that was scheduled is done.
  if (cluster.switchover && !(cluster.paused && cluster.switchover->at)) {
    word.leaving = leaving(*cluster.switchover, word);
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
  if (after.leaving && (before == nullptr || before->leaving != after.leaving)) {
    news.push_back("a switchover from " + after.hosts[*after.leaving].name + " was asked for");
  } else if (before != nullptr && before->leaving && !after.leaving) {
    news.emplace_back("the switchover is over");
  }
  if (after.paused != (before != nullptr && before->paused)) {
    news.emplace_back(after.paused ? "it is paused" : "it is no longer paused");
  }
  return news;
}

}  // namespace forebay::routing
