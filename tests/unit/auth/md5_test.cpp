#include "forebay/auth/md5.hpp"

#include <gtest/gtest.h>

namespace forebay::auth {
namespace {

TEST(Md5, makes_what_postgresql_stores) {
  EXPECT_EQ(md5_stored("pencil", "m1")->reveal(), "md57474753e4b2f9e23953d5977773aabb0");
  EXPECT_EQ(md5_stored("p\xc3\xa4ss", "\xc3\x9cn\xc3\xaf")->reveal(),
            "md531288d5d55bf8b8938f16a9091a638cb");
}

TEST(Md5, answers_a_salt_as_libpq_does) {
  // md5(md5("pencilm1") as hexadecimal digits, then the salt).
  const auto response = md5_response("md57474753e4b2f9e23953d5977773aabb0", "abcd");
  EXPECT_EQ(*response, "md5451ec969c448b65b0fee194766b33903");
}

TEST(Md5, accepts_only_the_whole_right_answer) {
  const auto stored = md5_stored("pencil", "m1");
  const std::string right = *md5_response(stored->reveal(), Bytes("\0\xff,x", 4));
  EXPECT_TRUE(md5_accepts(stored->reveal(), Bytes("\0\xff,x", 4), right));
  EXPECT_FALSE(md5_accepts(stored->reveal(), Bytes("\0\xff,y", 4), right));
  EXPECT_FALSE(md5_accepts(md5_stored("pencil", "m2")->reveal(), Bytes("\0\xff,x", 4), right));
  for (std::size_t i = 0; i < right.size(); ++i) {
    std::string wrong = right;
    wrong[i] = static_cast<char>(wrong[i] ^ 1);
    EXPECT_FALSE(md5_accepts(stored->reveal(), Bytes("\0\xff,x", 4), wrong));
    EXPECT_FALSE(md5_accepts(stored->reveal(), Bytes("\0\xff,x", 4), right.substr(0, i)));
  }
  EXPECT_FALSE(md5_accepts(stored->reveal(), Bytes("\0\xff,x", 4), right + '0'));
  // The stored hash itself is not an answer.
  EXPECT_FALSE(md5_accepts(stored->reveal(), Bytes("\0\xff,x", 4), stored->reveal()));
}

}  // namespace
}  // namespace forebay::auth
