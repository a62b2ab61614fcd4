#include "forebay/routing/cluster/patroni.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace forebay::routing {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

// As Patroni 3.0 gives it.
constexpr const char* kThree = R"({"members": [
  {"name": "node0", "role": "leader", "state": "running", "host": "10.0.0.1", "port": 5432,
   "api_url": "http://10.0.0.1:8008/patroni", "timeline": 2},
  {"name": "node1", "role": "sync_standby", "state": "streaming", "host": "10.0.0.2", "port": 5432,
   "api_url": "http://10.0.0.2:8008/patroni", "timeline": 2, "lag": 0},
  {"name": "node2", "role": "replica", "state": "stopped", "host": "10.0.0.3", "port": 5432,
   "api_url": "http://10.0.0.3:8008/patroni", "lag": "unknown", "tags": {"noloadbalance": true}}],
  "scope": "main"})";

const std::vector<Endpoint> kHosts = {{"10.0.0.3", 5432}, {"10.0.0.1", 5432}, {"db2", 5432}};

bool equal(const Endpoint& host, const Endpoint& member) {
  return host == member;
}

PatroniWord word_of(const char* json) {
  return patroni_word(parse_patroni_cluster(json).value(), kHosts, equal);
}

TEST(Patroni, says_who_its_members_are) {
  const auto cluster = parse_patroni_cluster(kThree);
  ASSERT_TRUE(cluster) << cluster.error().message;
  EXPECT_FALSE(cluster->paused);
  EXPECT_THAT(
      cluster->members,
      ElementsAre(
          PatroniMember{"node0", {"10.0.0.1", 5432}, "leader", "running", 2, true, false},
          PatroniMember{"node1", {"10.0.0.2", 5432}, "sync_standby", "streaming", 2, false, false},
          PatroniMember{"node2", {"10.0.0.3", 5432}, "replica", "stopped", 0, false, true}));
}

TEST(Patroni, may_be_paused_and_lead_a_standby_cluster) {
  const auto cluster = parse_patroni_cluster(
      R"({"members": [{"name": "a", "role": "standby_leader", "state": "running"}],)"
      R"( "pause": true})");
  ASSERT_TRUE(cluster);
  EXPECT_TRUE(cluster->paused);
  EXPECT_FALSE(cluster->members.front().leads) << "it takes no writes";
  EXPECT_EQ(cluster->members.front().address.host, "");
}

TEST(Patroni, is_refused_where_it_makes_no_sense) {
  const std::string many = R"({"name": "a"})";
  std::string members = many;
  for (int i = 0; i < 64; ++i) members += "," + many;
  const std::pair<std::string, const char*> cases[] = {
      {"", "it is no JSON"},
      {"{", "it is no JSON"},
      {std::string(100'000, '['), "it is no JSON"},
      {"{\"members\": [{\"name\": \"\xff\"}]}", "it is no JSON"},
      {"[]", "it is no JSON object"},
      {"{}", "it has no members"},
      {R"({"members": {}})", "it has no members"},
      {R"({"members": [1]})", "a member is no object"},
      {R"({"members": [{}]})", "a member has no name"},
      {R"({"members": [{"name": 7}]})", "a member has no name"},
      {R"({"members": [{"name": "a\nb"}]})", "a member has no name"},
      {R"({"members": [{"name": ")" + std::string(257, 'a') + R"("}]})", "a member has no name"},
      {R"({"members": [{"name": "a", "role": "leader"}, {"name": "b", "role": "master"}]})",
       "it has two leaders"},
      {R"({"members": [)" + members + "]}", "it has more than 64 members"},
  };
  for (const auto& [json, why] : cases) {
    const auto cluster = parse_patroni_cluster(json);
    ASSERT_FALSE(cluster) << json.substr(0, 80);
    EXPECT_THAT(cluster.error().message, testing::StartsWith(why)) << json.substr(0, 80);
  }
}

TEST(Patroni, may_say_something_else_than_expected) {
  const auto cluster = parse_patroni_cluster(
      R"({"members": [{"name": "a", "role": 1, "state": null, "host": [], "port": 70000,)"
      R"( "timeline": -1, "tags": {"noloadbalance": "true"}}], "pause": "yes"})");
  ASSERT_TRUE(cluster);
  EXPECT_EQ(cluster->members.front(), (PatroniMember{"a", {}, "", "", 0, false, false}));
}

TEST(Patroni, members_are_found_among_the_hosts) {
  std::vector<std::string> strangers;
  const PatroniWord word =
      patroni_word(parse_patroni_cluster(kThree).value(), kHosts, equal, &strangers);
  EXPECT_EQ(word.leader, 1u);
  EXPECT_EQ(to_string(word.hosts[0]), "node2: replica, stopped, noloadbalance");
  EXPECT_EQ(to_string(word.hosts[1]), "node0: leader, running, timeline 2");
  EXPECT_FALSE(word.hosts[2].known);
  EXPECT_THAT(strangers, ElementsAre("node1"));
}

TEST(Patroni, decides_nothing_when_it_is_old_or_paused) {
  PatroniWord word = word_of(kThree);
  word.until = Instant(10s);
  EXPECT_EQ(word.arbiter(Instant(9s)), 1u);
  EXPECT_EQ(word.arbiter(Instant(10s)), std::nullopt);
  word.paused = true;
  EXPECT_EQ(word.arbiter(Instant(9s)), std::nullopt);
}

TEST(Patroni, says_who_is_about_to_leave) {
  PatroniCluster cluster = parse_patroni_cluster(kThree).value();
  const auto leaving = [&](const char* from, const char* to) {
    cluster.switchover = PatroniSwitchover{from, to, {}};
    return patroni_word(cluster, kHosts, equal).leaving;
  };
  EXPECT_EQ(patroni_word(cluster, kHosts, equal).leaving, std::nullopt);
  EXPECT_EQ(leaving("node0", "node2"), 1u);
  EXPECT_EQ(leaving("node0", ""), 1u);
  EXPECT_EQ(leaving("", "node2"), 1u);
  EXPECT_EQ(leaving("", "node0"), std::nullopt);  // it leads
  EXPECT_EQ(leaving("node1", "node0"), std::nullopt);
  cluster.switchover->at = std::chrono::system_clock::time_point();
  EXPECT_EQ(patroni_word(cluster, kHosts, equal).leaving, std::nullopt);
  cluster.switchover->from = "node0";
  EXPECT_EQ(patroni_word(cluster, kHosts, equal).leaving, std::nullopt);  // to itself
  cluster.switchover->to = "";
  EXPECT_EQ(patroni_word(cluster, kHosts, equal).leaving, 1u);
  cluster.paused = true;
  EXPECT_EQ(patroni_word(cluster, kHosts, equal).leaving, std::nullopt);
  PatroniWord word = word_of(kThree);
  const PatroniWord before = word;
  word.leaving = 1;
  word.leaving_from = Instant(5s);
  word.until = Instant(10s);
  EXPECT_FALSE(word.leaves(1, Instant(4s)));
  EXPECT_TRUE(word.leaves(1, Instant(5s)));
  EXPECT_FALSE(word.leaves(0, Instant(5s)));
  EXPECT_FALSE(word.leaves(1, Instant(10s)));
  EXPECT_THAT(patroni_news(&before, word), ElementsAre("a switchover from node0 was asked for"));
  EXPECT_THAT(patroni_news(&word, before), ElementsAre("the switchover is over"));
}

TEST(Patroni, says_when_a_switchover_is_to_be) {
  const auto at = [](const char* moment) {
    const auto cluster = parse_patroni_cluster(
        std::string(R"({"members": [], "scheduled_switchover": {"from": "a", "at": ")") + moment +
        "\"}}");
    return cluster.value().switchover;
  };
  ASSERT_TRUE(at("2023-03-01T12:30:15+00:00"));
  EXPECT_EQ(at("2023-03-01T12:30:15+00:00")->from, "a");
  const std::chrono::system_clock::time_point moment(1677673815s);
  for (const char* same : {"2023-03-01T12:30:15+00:00", "2023-03-01T12:30:15Z",
                           "2023-03-01 14:30:15+02:00", "2023-03-01T07:00:15-0530"}) {
    EXPECT_EQ(parse_moment(same), moment) << same;
  }
  EXPECT_EQ(parse_moment("2023-03-01T12:30:15.25+00"), moment + 250ms);
  EXPECT_EQ(parse_moment("2023-03-01T12:30:15.250999Z"), moment + 250ms);
  EXPECT_EQ(parse_moment("2023-03-01T12:30Z"), moment - 15s);
  for (const char* wrong :
       {"", "2023", "2023-02-30T12:30:15Z", "2023-03-01T12:30:15", "2023-03-01T12:30:15+00:00 x",
        "2023-03-01T12:30:-1Z", "2023-03-01T12:30:15.", "9999-03-01T12:30:15Z",
        "2023-03-01T24:30:15Z", "2023-03-01T12:60:15Z", "tomorrow"}) {
    EXPECT_EQ(parse_moment(wrong), std::nullopt) << wrong;
    EXPECT_FALSE(at(wrong)) << wrong;
  }
}

TEST(Patroni, has_news_when_something_changes) {
  const PatroniWord before = word_of(kThree);
  EXPECT_THAT(patroni_news(&before, before), IsEmpty());
  EXPECT_THAT(patroni_news(nullptr, before).size(), 2u);
  const PatroniWord gone = word_of(
      R"({"members": [{"name": "node0", "role": "replica", "state": "stopped",
          "host": "10.0.0.1", "port": 5432}]})");
  EXPECT_THAT(patroni_news(&before, gone),
              ElementsAre("not a member (before: node2: replica, stopped, noloadbalance)",
                          "node0: replica, stopped (before: node0: leader, running, timeline 2)",
                          "no host has the leader's lock"));
  PatroniWord other = before;
  other.leader = 0;
  other.paused = true;
  EXPECT_THAT(patroni_news(&before, other),
              ElementsAre("node2 has the leader's lock", "it is paused"));
}

}  // namespace
}  // namespace forebay::routing
