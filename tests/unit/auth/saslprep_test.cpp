#include <gtest/gtest.h>

#include "forebay/auth/password.hpp"
#include "helpers.hpp"

namespace forebay::auth {
namespace {

std::string prepared(Bytes text) {
  return saslprep(text).reveal();
}

TEST(Saslprep, agrees_with_the_examples_of_the_rfc) {
  // RFC 4013, section 3.
  EXPECT_EQ(prepared("I\xc2\xadX"), "IX") << "SOFT HYPHEN mapped to nothing";
  EXPECT_EQ(prepared("user"), "user") << "no transformation";
  EXPECT_EQ(prepared("USER"), "USER") << "case preserved";
  EXPECT_EQ(prepared("\xc2\xaa"), "a") << "FEMININE ORDINAL INDICATOR, NFKC";
  EXPECT_EQ(prepared("\xe2\x85\xa8"), "IX") << "ROMAN NUMERAL NINE, NFKC";
}

TEST(Saslprep, leaves_what_the_rfc_prohibits_as_it_is) {
  EXPECT_EQ(prepared("\x07"), "\x07") << "PostgreSQL passes all ASCII";
  EXPECT_EQ(prepared("\xd8\xa7\x31"), "\xd8\xa7\x31") << "bidirectional check";
  EXPECT_EQ(prepared("p\xc3\xa4ss\x07"), "p\xc3\xa4ss\x07") << "ASCII control character";
  EXPECT_EQ(prepared("\xee\x80\x80"), "\xee\x80\x80") << "private use";
  EXPECT_EQ(prepared("\xef\xbf\xbd"), "\xef\xbf\xbd") << "REPLACEMENT CHARACTER";
  EXPECT_EQ(prepared("\xcd\x8f"), "\xcd\x8f") << "nothing left";
}

TEST(Saslprep, leaves_what_is_not_utf8_as_it_is) {
  for (const char* text : {"\xe9", "caf\xe9", "\xc3", "\xc3(", "\xed\xa0\x80", "\xff\xfe",
                           "\xc0\xaf", "\xf5\x80\x80\x80", "ok\x80"}) {
    EXPECT_EQ(prepared(text), text);
  }
}

TEST(Saslprep, maps_spaces_and_composes) {
  EXPECT_EQ(prepared("\xc2\xa0p\xc3\xa4ss"), " p\xc3\xa4ss") << "NO-BREAK SPACE";
  EXPECT_EQ(prepared("a\xcc\x88"), "\xc3\xa4") << "composed";
  EXPECT_EQ(prepared("\xc3\xa4"), "\xc3\xa4");
}

TEST(Saslprep, survives_any_bytes) {
  EXPECT_EQ(prepared(""), "");
  EXPECT_EQ(prepared(Bytes("\xc3\xa4\0\xc2\xad", 5)), Bytes("\xc3\xa4\0\xc2\xad", 5));
  std::string text;
  std::uint32_t state = 7;
  for (int round = 0; round < 3000; ++round) {
    text.clear();
    for (int i = 0; i < round % 40; ++i) {
      state = state * 1664525 + 1013904223;
      text.push_back(static_cast<char>(state >> 24));
    }
    prepared(text);
  }
}

TEST(Saslprep, is_done_up_to_its_limit_only) {
  std::string soft_hyphens = "p";
  while (soft_hyphens.size() + 2 <= kSaslprepMax) soft_hyphens += "\xc2\xad";
  EXPECT_EQ(prepared(soft_hyphens), "p");
  soft_hyphens += "\xc2\xad";
  EXPECT_EQ(prepared(soft_hyphens), soft_hyphens);
  // A code point that becomes 18 of them.
  std::string grows;
  while (grows.size() + 3 <= kSaslprepMax) grows += "\xef\xb7\xba";
  EXPECT_GT(prepared(grows).size(), 10 * grows.size());
}

TEST(Password, is_equal_after_preparation) {
  EXPECT_EQ(password_of("I\xc2\xadX"), password_of("IX"));
  EXPECT_NE(password_of("IX"), password_of("ix"));
  EXPECT_NE(password_of("IX"), password_of("IXI"));
  EXPECT_EQ(password_of("I\xc2\xadX").clear().reveal(), "I\xc2\xadX");
  EXPECT_EQ(password_of("I\xc2\xadX").prepared().reveal(), "IX");
}

}  // namespace
}  // namespace forebay::auth
