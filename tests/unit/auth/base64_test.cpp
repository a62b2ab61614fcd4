#include "auth/base64.hpp"

#include <gtest/gtest.h>

namespace forebay::auth {
namespace {

TEST(Base64, encodes_the_examples_of_the_rfc) {
  // RFC 4648, section 10.
  EXPECT_EQ(base64_encode(""), "");
  EXPECT_EQ(base64_encode("f"), "Zg==");
  EXPECT_EQ(base64_encode("fo"), "Zm8=");
  EXPECT_EQ(base64_encode("foo"), "Zm9v");
  EXPECT_EQ(base64_encode("foob"), "Zm9vYg==");
  EXPECT_EQ(base64_encode("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64_encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64_encode(std::string("\0\xff\xfb", 3)), "AP/7");
}

TEST(Base64, decodes_what_it_encodes) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    bytes.push_back(static_cast<char>(i * 7));
  }
}

TEST(Base64, takes_one_spelling_only) {
  EXPECT_TRUE(base64_decode(""));
  for (const char* wrong :
       {"Zg", "Zg=", "Zg===", "Z===", "====", "=", "Zh==", "Zm9=", "Zm9v\n", " Zm9v", "Zm 9v",
        "Zm9v====", "Zg==Zg==", "Zm-v", "Zm_v", "Z=g=", "\xff\xff\xff\xff"}) {
    EXPECT_FALSE(base64_decode(wrong)) << wrong;
  }
  EXPECT_FALSE(base64_decode(Bytes("Zm9\0", 4)));
}

}  // namespace
}  // namespace forebay::auth
