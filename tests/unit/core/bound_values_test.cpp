#include "core/statistics/bound_values.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace forebay::core {
namespace {

std::string number(std::uint32_t value, int size) {
  std::string text;
  while (size-- > 0) text += static_cast<char>(value >> (8 * size) & 0xff);
  return text;
}

std::string value(const std::string& bytes) {
  return number(static_cast<std::uint32_t>(bytes.size()), 4) + bytes;
}

/// Values as text, as many clients send them.
std::string sent(const std::vector<std::string>& values) {
  std::string all = number(0, 2) + number(static_cast<std::uint32_t>(values.size()), 2);
  for (const std::string& each : values) all += value(each);
  return all + number(0, 2);
}

std::string shown(const std::string& all, bool redacted = false) {
  return parameters_text({all, true}, redacted);
}

TEST(BoundValues, are_found_by_their_portal) {
  BoundValues bound;
  EXPECT_EQ(bound.find(""), 0U);
  EXPECT_EQ(bound.at(0).sent, "");
  bound.keep("", "one");
  bound.keep("p", "two");
  const auto one = bound.find("");
  EXPECT_EQ(bound.at(one).sent, "one");
  EXPECT_EQ(bound.at(bound.find("p")).sent, "two");
  EXPECT_EQ(bound.find("q"), 0U);
  bound.keep("", "three");
  EXPECT_EQ(bound.at(bound.find("")).sent, "three") << "the newest";
  EXPECT_EQ(bound.at(one).sent, "one") << "it may not be answered yet";
}

TEST(BoundValues, are_nobodys_when_another_client_comes) {
  BoundValues bound;
  bound.keep("", "secret");
  const auto secret = bound.find("");
  bound.forget();
  EXPECT_EQ(bound.find(""), 0U);
  EXPECT_EQ(bound.at(secret).sent, "");
  bound.keep("p", "other");
  EXPECT_EQ(bound.find(""), 0U);
  EXPECT_EQ(bound.at(bound.find("p")).sent, "other");
}

TEST(BoundValues, of_one_bind_no_more_is_kept_than_there_is_room_for) {
  BoundValues bound;
  bound.keep("", std::string(BoundValues::kOneMax + 1, 'x'));
  EXPECT_EQ(bound.at(bound.find("")).sent.size(), BoundValues::kOneMax);
  EXPECT_FALSE(bound.at(bound.find("")).whole);
  bound.keep("", "");
  EXPECT_EQ(bound.at(bound.find("")).sent, "");
}

// However much is bound and never executed: what is found is what was bound, or nothing.
TEST(BoundValues, that_lost_their_place_are_not_found) {
  BoundValues bound;
  std::mt19937 random(3);
  std::deque<std::pair<BoundValues::Ticket, std::string>> known;
  std::size_t found = 0;
  for (unsigned i = 0; i < 200'000; ++i) {
    const std::size_t size = i % 1000 < 500 ? random() % 20 : random() % 600;
    std::string bytes(size, static_cast<char>('a' + i % 26));
    bytes.replace(0, std::min<std::size_t>(size, 6), std::to_string(i).substr(0, size));
    bound.keep(i % 3 == 0 ? "p" : "", bytes);
    bytes.resize(std::min(bytes.size(), BoundValues::kOneMax));
    known.emplace_back(bound.find(i % 3 == 0 ? "p" : ""), bytes);
    if (known.size() > 100) known.pop_front();
    if (i % 50 != 0) continue;
    for (const auto& [ticket, its] : known) {
      const Bytes kept = bound.at(ticket).sent;
      ASSERT_TRUE(kept.empty() || kept == its) << i;
      found += kept.empty() ? 0 : 1;
    }
    ASSERT_EQ(bound.at(known.back().first).sent, known.back().second);
    ASSERT_EQ(bound.at(known.back().first + 1).sent, "") << "it does not exist yet";
  }
  EXPECT_GT(found, 4000U);
}

TEST(BoundValues, are_shown_as_literals) {
  EXPECT_EQ(shown(sent({})), "");
  EXPECT_EQ(shown(sent({"5", "it's", ""})), "$1 = '5', $2 = 'it''s', $3 = ''");
  const std::string one = number(1, 2) + number(1, 2);  // all binary
  const std::string two = number(2, 2) + number(0, 2) + number(1, 2);
  const std::string values = number(2, 2) + value("a\n") + value(std::string("\0\xff", 2));
  EXPECT_EQ(shown(one + values), "$1 = '\\x610a', $2 = '\\x00ff'");
  EXPECT_EQ(shown(two + values), "$1 = 'a ', $2 = '\\x00ff'");
  const std::string null = number(0, 2) + number(1, 2) + number(~std::uint32_t{0}, 4);
  EXPECT_EQ(shown(null), "$1 = NULL");
}

TEST(BoundValues, that_are_redacted_show_their_lengths) {
  EXPECT_EQ(shown(sent({"5", "secret"}), true), "$1 = 1 byte, $2 = 6 bytes");
  const std::string large = sent({"5", std::string(1000, 's')}).substr(0, 100);
  EXPECT_EQ(shown(large, true), "$1 = 1 byte, $2 = 1000 bytes");
}

TEST(BoundValues, may_be_cut_off_or_wrong_anywhere) {
  const std::string whole = sent({"first", "second"});
  EXPECT_EQ(shown(whole.substr(0, 16)), "$1 = 'first', ...");
  EXPECT_EQ(shown(whole.substr(0, 20)), "$1 = 'first', $2 = 'sec'...");
  for (std::size_t size = 0; size < whole.size(); ++size) shown(whole.substr(0, size));
  std::mt19937 random(5);
  for (unsigned i = 0; i < 20'000; ++i) {
    std::string bytes(random() % BoundValues::kOneMax, '\0');
    for (char& c : bytes) c = random() % 3 == 0 ? static_cast<char>(random()) : '\0';
    if (bytes.size() > 4) bytes.replace(0, 2, number(static_cast<std::uint32_t>(random() % 3), 2));
    EXPECT_LT(shown(bytes, i % 2 == 0).size(), 20 * BoundValues::kOneMax);
  }
}

}  // namespace
}  // namespace forebay::core
