#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_environment.hpp"

namespace forebay::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string kTwoHosts = "[databases.a]\nauth = \"server\"\nhosts = [\"b\", \"c\"]\n";

std::string url_complaint(const std::string& column, const std::string& why) {
  return "f.toml:4:" + column +
         ": [databases.a] patroni: expected an array of URLs such as [\"http://10.0.0.1:8008\", "
         "\"http://10.0.0.2:8008\"]" +
         why;
}

TEST(CheckPatroni, wants_urls) {
  EXPECT_THAT(errors_of(kTwoHosts + "patroni = [\"http://b\", \"https://[::1]:1/\"]\n"), IsEmpty());
  const std::pair<const char*, std::string> cases[] = {
      {"\"http://b\"", url_complaint("11", ", but this is a string")},
      {"[1]", url_complaint("12", ", but this is a whole number")},
      {"[\"b:8008\"]", url_complaint("12", ": it must begin with http:// or https://")},
      {"[\"http://b\", \"http://b/cluster\"]", url_complaint("24", ": no path belongs in it")},
      {"[\"http://u:p@b\"]", url_complaint("12", ": no user belongs in it")},
      {"[\"http://b:0\"]", url_complaint("12", ": the port must be a number from 1 to 65535")},
      {"[\"http://\"]", url_complaint("12", ": the host is missing")},
      {"[\"http://b c\"]", url_complaint("12", ": the host has a character that no host name has")},
  };
  for (const auto& [value, complaint] : cases) {
    EXPECT_THAT(errors_of(kTwoHosts + "patroni = " + value + "\n"), ElementsAre(complaint));
  }
}

TEST(CheckPatroni, wants_what_belongs_together) {
  EXPECT_THAT(errors_of("[databases.a]\nhosts = \"b\"\npatroni = [\"http://b\"]\n"),
              ElementsAre("f.toml:3:11: [databases.a] patroni: there is only one host, so that "
                          "there is nothing to find out; list all hosts of the cluster in hosts"));
  EXPECT_THAT(errors_of(kTwoHosts + "etcd = [\"http://b\"]\n"),
              ElementsAre("f.toml:4:8: [databases.a] etcd: which cluster's keys they are has to be "
                          "said: set etcd_scope to Patroni's scope"));
  EXPECT_THAT(
      errors_of(kTwoHosts + "patroni = [\"http://b\"]\netcd = [\"http://b\"]\n"
                            "etcd_scope = \"main\"\n"),
      ElementsAre("f.toml:5:8: [databases.a] etcd: patroni is set, too, and the two may say "
                  "different things of who leads; keep one of them"));
  EXPECT_THAT(errors_of(kTwoHosts + "etcd_scope = \"a/b\"\netcd_namespace = \"/\"\n"),
              ElementsAre("f.toml:4:14: [databases.a] etcd_scope: expected a name without \"/\"",
                          "f.toml:5:18: [databases.a] etcd_namespace: expected a name such as "
                          "\"/service\""));
  EXPECT_THAT(errors_of(kTwoHosts + "etcd = [\"http://b\"]\netcd_scope = \"main\"\n"), IsEmpty());
}

TEST(CheckPatroni, wants_authorities_that_are_there_and_of_use) {
  FakeEnvironment there;
  there.files["/ca"] = "";
  EXPECT_THAT(
      errors_of(kTwoHosts + "patroni = [\"https://b\"]\npatroni_ca_file = \"/gone\"\n").size(), 1U);
  EXPECT_THAT(
      warnings_of(kTwoHosts + "patroni = [\"http://b\"]\npatroni_ca_file = \"/ca\"\n", there),
      ElementsAre("f.toml:5:19: [databases.a] patroni_ca_file: has no effect; no entry of "
                  "patroni begins with https://"));
}

}  // namespace
}  // namespace forebay::config
