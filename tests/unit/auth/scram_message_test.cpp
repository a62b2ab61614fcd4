#include "auth/scram_message.hpp"

#include <gtest/gtest.h>

namespace forebay::auth {
namespace {

TEST(Attributes, are_read_in_order) {
  Attributes attributes("c=biws,r=a=b==,x=,y=1,p=proof");
  EXPECT_EQ(attributes.value_of('c'), "biws");
  EXPECT_EQ(attributes.value_of('r'), "a=b==");
  EXPECT_TRUE(attributes.skip_extensions());
  EXPECT_EQ(attributes.before(), "c=biws,r=a=b==,x=,y=1");
  EXPECT_FALSE(attributes.at_end());
  EXPECT_EQ(attributes.value_of('p'), "proof");
  EXPECT_TRUE(attributes.at_end());
  EXPECT_EQ(attributes.value_of('p'), std::nullopt);
  EXPECT_EQ(attributes.complaint(), "Expected attribute \"p\" but found the end of the message.");
}

TEST(Attributes, say_what_was_wrong_first) {
  Attributes wrong("r=x");
  EXPECT_FALSE(wrong.value_of('c'));
  EXPECT_FALSE(wrong.value_of('r'));
  EXPECT_EQ(wrong.complaint(), "Expected attribute \"c\" but found \"r\".");
  Attributes bare("c");
  EXPECT_FALSE(bare.value_of('c'));
  EXPECT_EQ(bare.complaint(), "Expected character \"=\" for attribute \"c\".");
  Attributes unprintable("\x01=");
  EXPECT_FALSE(unprintable.value_of('c'));
  EXPECT_EQ(unprintable.complaint(), "Expected attribute \"c\" but found an unprintable byte.");
}

TEST(Attributes, a_comma_at_the_end_is_an_attribute_missing) {
  Attributes attributes("c=x,");
  EXPECT_TRUE(attributes.value_of('c'));
  EXPECT_FALSE(attributes.at_end());
  EXPECT_FALSE(attributes.skip_extensions());
}

TEST(Attributes, a_mandatory_extension_is_noticed_wherever_it_stands) {
  Attributes first("m=x,r=y");
  EXPECT_FALSE(first.value_of('r'));
  EXPECT_TRUE(first.mandatory_extension());
  Attributes later("r=y,x=1,m=x");
  EXPECT_TRUE(later.value_of('r'));
  EXPECT_FALSE(later.skip_extensions());
  EXPECT_TRUE(later.mandatory_extension());
}

TEST(Iterations, are_positive_numbers) {
  EXPECT_EQ(parse_iterations("1"), 1U);
  EXPECT_EQ(parse_iterations("4096"), 4096U);
  EXPECT_EQ(parse_iterations("2147483647"), 2147483647U);
  for (const char* text : {"", "0", "00", "04096", "-1", "+1", " 1", "1 ", "1a", "a", "2147483648",
                           "4294967296", "99999999999999999999"}) {
    EXPECT_FALSE(parse_iterations(text)) << text;
  }
}

TEST(Sanitized, shows_no_control_characters_and_not_much) {
  EXPECT_EQ(sanitized("a\x01\xff\n\"b"), "a???\"b");
  EXPECT_EQ(sanitized(std::string(1000, 'x')).size(), 64U);
}

TEST(Printable, is_visible_ascii_without_the_comma) {
  for (int code = 0; code < 256; ++code) {
    const char byte = static_cast<char>(code);
    EXPECT_EQ(is_printable({&byte, 1}), code >= 0x21 && code <= 0x7e && code != ',') << code;
  }
}

TEST(ScramMessage, is_bounded) {
  EXPECT_FALSE(check_scram_message(std::string(kScramMessageMax, 'x')));
  EXPECT_TRUE(check_scram_message(std::string(kScramMessageMax + 1, 'x')));
  EXPECT_TRUE(check_scram_message(""));
  EXPECT_TRUE(check_scram_message(Bytes("a\0b", 3)));
}

}  // namespace
}  // namespace forebay::auth
