#include <gtest/gtest.h>

#include "forebay/config/network.hpp"
#include "tests/unit/config/fake_environment.hpp"

namespace forebay::config {
namespace {

bool contains(std::string_view network, std::string_view address) {
  return Network::parse(network).value().contains(parse_ip_address(address).value());
}

TEST(Network, Contains) {
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(contains("192.168.4.0/23", "192.168.5.255"));
  EXPECT_FALSE(contains("192.168.4.0/23", "192.168.6.0"));
  EXPECT_TRUE(contains("192.0.2.7", "192.0.2.7"));
  EXPECT_FALSE(contains("192.0.2.7", "192.0.2.6"));
  EXPECT_TRUE(contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(contains("fe80::/10", "fe80::1%eth0"));
}

TEST(Network, FamiliesAreApartButForV4WithinV6) {
  EXPECT_TRUE(contains("0.0.0.0/0", "1.2.3.4"));
  EXPECT_FALSE(contains("0.0.0.0/0", "::1"));
  EXPECT_TRUE(contains("::/0", "2001:db8::1"));
  EXPECT_TRUE(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
}

TEST(Network, WhatIsNone) {
  for (const std::string_view text :
       {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "10.0.0/8", "::/129", "db1", "10.0.0.1/8",
        "2001:db8::1/32", "fe80::1%eth0", "10.0.0.0/-1", "10.0.0.0/8/8"}) {
    EXPECT_TRUE(Network::parse(text).has_error()) << text;
  }
}

TEST(AddressRules, DenyGoesBeforeAllow) {
  AddressRules rules;
  EXPECT_EQ(rules.refusing("unreadable"), "");
  rules.allow_from.push_back(Network::parse("10.0.0.0/8").value());
  EXPECT_EQ(rules.refusing("10.1.1.1"), "");
  EXPECT_EQ(rules.refusing("192.0.2.1"), "allow_from");
  rules.deny_from.push_back(Network::parse("10.1.0.0/16").value());
  EXPECT_EQ(rules.refusing("10.1.1.1"), "deny_from");
  EXPECT_EQ(rules.refusing("10.2.1.1"), "");
  EXPECT_EQ(rules.refusing("unreadable"), "deny_from");
}

TEST(AddressRules, InTheFile) {
  const LoadedConfig loaded = load_text(
      "[forebay]\nallow_from = [\"10.0.0.0/8\"]\nmax_logins_per_second = 7\n"
      "[databases.a]\nhosts = \"h\"\nauth = \"server\"\ndeny_from = [\"::1\"]\n"
      "[users.u]\nallow_from = [\"127.0.0.1\"]\n");
  ASSERT_TRUE(loaded.ok()) << joined(texts(loaded.errors));
  EXPECT_EQ(loaded.config->addresses.refusing("11.0.0.1"), "allow_from");
  EXPECT_EQ(loaded.config->databases.at("a").addresses.refusing("::1"), "deny_from");
  EXPECT_EQ(loaded.config->users.at("u").addresses.refusing("127.0.0.2"), "allow_from");
  EXPECT_EQ(loaded.config->max_logins_per_second, 7U);
  EXPECT_EQ(errors_of("[forebay]\nallow_from = [\"10.0.0.1/8\"]\n" + kAnyDatabase),
            (std::vector<std::string>{
                "f.toml:2:15: [forebay] allow_from: this address has bits set to the right of its "
                "mask /8"}));
}

}  // namespace
}  // namespace forebay::config
