#include "forebay/auth/verifier.hpp"

#include "helpers.hpp"

namespace forebay::auth {
namespace {

/// As PostgreSQL 15 made it from "pencil".
constexpr Bytes kPencil =
    "SCRAM-SHA-256$4096:FwwD9unC8JONfh/Ju5SGJw==$IN3T4VHuYe5s8hhxnl0y2BbfwSFWu2g3i2OXvvbaPMM=:"
    "YZGj0JRPmF602VC4kSJtjb+1p2EorTofS9qqVAlm1Uk=";

TEST(Verifier, makes_and_reads_what_postgresql_stores) {
  struct {
    const char* password;
    Bytes stored;
  } const cases[] = {
      {"pencil", kPencil},
      // Mapped, composed and emptied by SASLprep.
      {"I\xe2\x85\xa8\xc2\xaaX\xc2\xad",
       "SCRAM-SHA-256$4096:IpdnrGQqnZ34Fki/jN7Xqg==$eNfmnkkty/VZ/"
       "B8HbkPaaHwlCNGxUE2YptZ7MFaq8cY=:fSLDNoQlulqo8XiqgDTyEovxkSO7rZLPKXVB4zMII9E="},
      {"\xc2\xa0p\xc3\xa4ss",
       "SCRAM-SHA-256$4096:knOUqc4nlt2MuBRSuJG7Vg==$QyZOfuwXD7vrZXGlrnZPmohtqb+pHzm7DbyH9xf5vyA=:"
       "WWkV/VDbbOJwlf/1lkUoJNI2LSztgQ6Qe5Hj5Re3qyc="},
      // Raw, because SASLprep refuses them: Latin-1, mixed directions, nothing left. ASCII passes.
      {"caf\xe9",
       "SCRAM-SHA-256$4096:ruZqnEQCozgqoqRvo13hJQ==$z8jgV/AkMoKSKAtq5YjdYvrEUEdgupXtdTxY0amVwbE=:"
       "D0E+dyaz07yuxJPBDW400AVfMP2aXsUXSs3s+9r1CGI="},
      {"\xd8\xa7\x31",
       "SCRAM-SHA-256$4096:twlVRPBF7+uxOz6PTThZeA==$pi84PlEWswZkZjCyM33JWO4QyM7PCzxmCfeU66oG1fw=:"
       "Ab/u9qHDOitcZctuUjZX4Ct/dTN1Jel+Lg9hPm0rP0w="},
      {"\xcd\x8f",
       "SCRAM-SHA-256$4096:em58oZIl6C7AgHvENJQPhQ==$R4Q1IARFyTyEJWRs6X6vJ793zjcBI0bOeL3+EmWFOBQ=:"
       "CLG1uU3ku5MPtrizFaiKh+3HJoA4N2qqK21ECPG48Xg="},
      {"a\x07"
       "b",
       "SCRAM-SHA-256$4096:AtSGIKxcsui+V2oQqoGyCQ==$W9a/Jx8D8eF1mHWr6mwzDfAAjGCdsJD87gwC+gi13RU=:"
       "UUCIwse0KKsSV1c48U0HK88/ZOYuvmN4MX2nzJbqRXo="},
  };
  for (const auto& [password, stored] : cases) {
    const auto verifier = Verifier::parse(stored);
    ASSERT_TRUE(verifier) << stored;
    EXPECT_EQ(verifier->iterations, 4096U);
    EXPECT_EQ(verifier->salt.size(), kScramSaltSize);
    EXPECT_EQ(verifier->text().reveal(), stored);
    EXPECT_EQ(Verifier::make(password_of(password), verifier->salt, verifier->iterations),
              *verifier);
  }
}

TEST(Verifier, refuses_every_damaged_text_or_reads_what_stands_there) {
  const std::string text(kPencil);
  for_every_damage(text, [&](const std::string& damaged, const std::string& how) {
    const auto verifier = Verifier::parse(damaged);
    // Another digit or letter may make another verifier, but never the same one.
    EXPECT_TRUE(!verifier || verifier->text().reveal() == damaged) << how;
  });
}

TEST(Verifier, refuses_impossible_parts) {
  const std::string key(base64_encode(std::string(32, 'k')));
  const std::string short_key(base64_encode(std::string(31, 'k')));
  const std::string long_key(base64_encode(std::string(33, 'k')));
  const auto parse = [](const std::string& text) { return Verifier::parse(text).has_value(); };
  EXPECT_TRUE(parse("SCRAM-SHA-256$1:AA==$" + key + ":" + key));
  EXPECT_TRUE(parse("SCRAM-SHA-256$2147483647:AA==$" + key + ":" + key));
  for (const char* iterations : {"", "0", "-1", "+1", " 1", "01", "1 ", "0x10", "1.5", "2147483648",
                                 "4294967297", "18446744073709551617"}) {
    EXPECT_FALSE(parse(std::string("SCRAM-SHA-256$") + iterations + ":AA==$" + key + ":" + key));
  }
  const std::string longest = base64_encode(std::string(kScramSaltMax, 's'));
  const std::string too_long = base64_encode(std::string(kScramSaltMax + 1, 's'));
  EXPECT_TRUE(parse("SCRAM-SHA-256$1:" + longest + "$" + key + ":" + key));
  for (const std::string& salt :
       {too_long, std::string(), std::string("AA"), std::string("AB==")}) {
    EXPECT_FALSE(parse("SCRAM-SHA-256$1:" + salt + "$" + key + ":" + key));
  }
  EXPECT_FALSE(parse("SCRAM-SHA-256$1:AA==$" + short_key + ":" + key));
  EXPECT_FALSE(parse("SCRAM-SHA-256$1:AA==$" + key + ":" + long_key));
  EXPECT_FALSE(parse("SCRAM-SHA-256$1:AA==$" + key + ":" + key + ":" + key));
  EXPECT_FALSE(parse("SCRAM-SHA-256$1:AA==:" + key + ":" + key));
  EXPECT_FALSE(parse("SCRAM-SHA-512$1:AA==$" + key + ":" + key));
  EXPECT_FALSE(parse("scram-sha-256$1:AA==$" + key + ":" + key));
  EXPECT_FALSE(parse("SCRAM-SHA-256$1:AA==$" + key + ":" + key + std::string(9000, 'A')));
  EXPECT_FALSE(parse(""));
}

TEST(Verifier, errors_do_not_show_the_secret) {
  const auto verifier = Verifier::parse("SCRAM-SHA-256$1:hunter2$hunter2:hunter2");
  ASSERT_FALSE(verifier);
  EXPECT_EQ(verifier.error().message.find("hunter2"), std::string::npos);
  EXPECT_EQ(verifier.error().sqlstate, "F0000");
}

TEST(StoredSecret, is_told_apart_by_postgresqls_rules) {
  const auto kind = [](Bytes text) { return kind_of(*parse_secret(text)); };
  EXPECT_EQ(kind(kPencil), SecretKind::scram);
  EXPECT_EQ(kind("md57474753e4b2f9e23953d5977773aabb0"), SecretKind::md5);
  EXPECT_EQ(kind("pencil"), SecretKind::clear_text);
  EXPECT_EQ(kind("md57474753e4b2f9e23953d5977773aabb"), SecretKind::clear_text);
  EXPECT_EQ(kind("md57474753e4b2f9e23953d5977773aabb00"), SecretKind::clear_text);
  EXPECT_EQ(kind("md57474753e4b2f9e23953d5977773aabbG"), SecretKind::clear_text);
  EXPECT_EQ(kind("md57474753E4B2F9E23953D5977773AABB0"), SecretKind::clear_text);
  EXPECT_EQ(kind("MD57474753e4b2f9e23953d5977773aabb0"), SecretKind::clear_text);
  EXPECT_EQ(kind("SCRAM-SHA-256"), SecretKind::clear_text);
}

TEST(StoredSecret, a_broken_verifier_is_not_a_password) {
  EXPECT_FALSE(parse_secret("SCRAM-SHA-256$4096:broken"));
  EXPECT_FALSE(parse_secret(kPencil.substr(0, kPencil.size() - 1)));
}

TEST(StoredSecret, is_bounded) {
  EXPECT_FALSE(parse_secret(""));
  EXPECT_FALSE(parse_secret(Bytes("pen\0cil", 7)));
  EXPECT_TRUE(parse_secret(std::string(kPasswordMax, 'p')));
  EXPECT_FALSE(parse_secret(std::string(kPasswordMax + 1, 'p')));
}

}  // namespace
}  // namespace forebay::auth
