#include "forebay/routing/cluster/etcd.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace forebay::routing {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kPrefix = "/service/lab/";
// {"key": "/service/lab/leader", "value": "node0"}
const std::string kLeader = R"({"key": "L3NlcnZpY2UvbGFiL2xlYWRlcg==", "value": "bm9kZTA="})";
// /service/lab/members/node0: {"conn_url":"postgres://10.0.0.1:5433/postgres","state":"running",
// "role":"master","timeline":2,"tags":{"noloadbalance":true}}
const std::string kMember =
    R"({"key": "L3NlcnZpY2UvbGFiL21lbWJlcnMvbm9kZTA=", "value": "eyJjb25uX3VybCI6InBvc3RncmVzOi8vM)"
    R"(TAuMC4wLjE6NTQzMy9wb3N0Z3JlcyIsInN0YXRlIjoicnVubmluZyIsInJvbGUiOiJtYXN0ZXIiLCJ0aW1lbGluZS)"
    R"(I6MiwidGFncyI6eyJub2xvYWRiYWxhbmNlIjp0cnVlfX0="})";
// /service/lab/config: {"pause":true}
const std::string kConfig =
    R"({"key": "L3NlcnZpY2UvbGFiL2NvbmZpZw==", "value": "eyJwYXVzZSI6dHJ1ZX0="})";

std::string keys(const std::string& all) {
  return R"({"header": {"revision": "41"}, "kvs": [)" + all + "]}";
}

TEST(Etcd, is_asked_for_what_is_below_the_prefix) {
  EXPECT_EQ(etcd_prefix("/service", "lab"), kPrefix);
  EXPECT_EQ(etcd_prefix("a/b/", "lab"), "/a/b/lab/");
  EXPECT_EQ(etcd_range_request(kPrefix),
            R"({"key":"L3NlcnZpY2UvbGFiLw==","range_end":"L3NlcnZpY2UvbGFiMA==","limit":"256"})");
  EXPECT_THAT(etcd_watch_request(kPrefix, "41"), HasSubstr(R"("start_revision":"42")"));
}

TEST(Etcd, says_who_leads) {
  const auto answer = parse_etcd_range(keys(kLeader + "," + kMember), kPrefix);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->revision, "41");
  EXPECT_FALSE(answer->cluster.paused);
  EXPECT_THAT(
      answer->cluster.members,
      ElementsAre(PatroniMember{"node0", {"10.0.0.1", 5433}, "leader", "running", 2, true, true}));
}

TEST(Etcd, says_that_a_switchover_was_asked_for) {
  const auto asked = [](const std::string& base64) {
    const auto answer = parse_etcd_range(
        keys(kLeader + "," + kMember + R"(,{"key": "L3NlcnZpY2UvbGFiL2ZhaWxvdmVy", "value": ")" +
             base64 + "\"}"),
        kPrefix);
    return answer.value().cluster.switchover;
  };
  // {"leader":"node0","member":"node1"}
  EXPECT_EQ(asked("eyJsZWFkZXIiOiJub2RlMCIsIm1lbWJlciI6Im5vZGUxIn0="),
            (PatroniSwitchover{"node0", "node1", {}}));
  // {"leader":"node0","scheduled_at":"2023-03-01T12:30:15+00:00"}
  const auto later =
      asked("eyJsZWFkZXIiOiJub2RlMCIsInNjaGVkdWxlZF9hdCI6IjIwMjMtMDMtMDFUMTI6MzA6MTUrMDA6MDAifQ==");
  ASSERT_TRUE(later && later->at);
  EXPECT_EQ(later->at->time_since_epoch(), std::chrono::seconds(1677673815));
  // {}, no JSON, and {"leader":"node0","scheduled_at":"soon"}
  EXPECT_FALSE(asked("e30="));
  EXPECT_FALSE(asked("bm9kZTA="));
  EXPECT_FALSE(asked("eyJsZWFkZXIiOiJub2RlMCIsInNjaGVkdWxlZF9hdCI6InNvb24ifQ=="));
}

TEST(Etcd, says_that_nobody_leads) {
  const auto answer = parse_etcd_range(keys(kConfig + "," + kMember), kPrefix);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer->cluster.paused);
  EXPECT_FALSE(answer->cluster.members.front().leads);
  EXPECT_EQ(answer->cluster.members.front().role, "primary without the leader's lock");
}

TEST(Etcd, is_refused_where_it_makes_no_sense) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "it is no JSON"},
      {"{}", "it has no revision"},
      {R"({"header": {"revision": 7}})", "it has no revision"},
      {R"({"header": {"revision": "99999999999999999999"}})", "it has no revision"},
      {keys(""), "there are no keys below /service/lab/"},
      {keys("1"), "a key is no object"},
      {keys(R"({"key": "*"})"), "a key is no base64"},
      {keys(R"({"key": 1})"), "a key is no base64"},
      {keys(R"({"key": "L3NlcnZpY2UvbGFiL21lbWJlcnMvbm9kZTA=", "value": "e30"})"), nullptr},
      {keys(R"({"key": "L3NlcnZpY2UvbGFiL21lbWJlcnMvbm9kZTA=", "value": "ew=="})"),
       "member node0: it is no JSON"},
  };
  for (const auto& [json, why] : cases) {
    const auto answer = parse_etcd_range(json, kPrefix);
    ASSERT_EQ(answer.has_value(), why == nullptr) << json;
    if (why != nullptr) {
      EXPECT_THAT(answer.error().message, testing::StartsWith(why)) << json;
    }
  }
}

TEST(Etcd, tells_of_changes) {
  const auto event = [](const std::string& key) {
    return R"({"result": {"events": [{"type": "DELETE", "kv": {"key": ")" + key + R"("}}]}})";
  };
  const std::pair<std::string, EtcdEvent> cases[] = {
      {R"({"result": {"header": {}, "created": true}})", EtcdEvent::nothing},
      {event("L3NlcnZpY2UvbGFiL2xlYWRlcg=="), EtcdEvent::news},
      {event("L3NlcnZpY2UvbGFiL21lbWJlcnMvbm9kZTA="), EtcdEvent::news},
      {event("L3NlcnZpY2UvbGFiL2ZhaWxvdmVy"), EtcdEvent::news},
      {event("L3NlcnZpY2UvbGFiL3N0YXR1cw=="), EtcdEvent::nothing},  // written all the time
      {event("AA=="), EtcdEvent::nothing},
      {R"({"result": {"canceled": true, "compact_revision": "9"}})", EtcdEvent::ended},
      {R"({"error": {"message": "x"}})", EtcdEvent::ended},
      {"<html>", EtcdEvent::ended},
  };
  for (const auto& [json, expected] : cases) {
    EXPECT_EQ(parse_etcd_event(json, kPrefix), expected) << json;
  }
}

}  // namespace
}  // namespace forebay::routing
