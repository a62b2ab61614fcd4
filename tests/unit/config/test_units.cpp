#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "forebay/config/units.hpp"

namespace forebay::config {
namespace {

using std::chrono::milliseconds;

TEST(Duration, is_read_in_each_unit) {
  EXPECT_EQ(*parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(*parse_duration("30s"), std::chrono::seconds(30));
  EXPECT_EQ(*parse_duration("5min"), std::chrono::minutes(5));
  EXPECT_EQ(*parse_duration("1h"), std::chrono::hours(1));
  EXPECT_EQ(*parse_duration("7d"), std::chrono::hours(7 * 24));
}

TEST(Duration, may_be_zero_without_a_unit) {
  EXPECT_EQ(*parse_duration("0"), milliseconds(0));
  EXPECT_EQ(*parse_duration("0s"), milliseconds(0));
}

TEST(Duration, needs_a_unit_that_it_names) {
  for (const char* text : {"30", "99999999999999999999999"}) {
    const auto time = parse_duration(text);
    ASSERT_FALSE(time) << text;
    EXPECT_EQ(time.error().message,
              "expected a duration such as \"30s\" (the number needs a unit: ms, s, min, h, d)");
  }
}

TEST(Duration, refuses_what_is_no_number_and_unit) {
  for (const char* text : {"", "s", "-5s", "+5s", " 5s", "5 s", "5s ", "1.5s", "1h30min", "5m",
                           "5S", "5sec", "five", "0x5s"}) {
    EXPECT_FALSE(parse_duration(text)) << '"' << text << '"';
  }
}

TEST(Duration, is_checked_for_overflow) {
  EXPECT_EQ(*parse_duration("9223372036854775807ms"), milliseconds::max());
  EXPECT_EQ(*parse_duration("9223372036854775s"), milliseconds(9223372036854775000));
  EXPECT_EQ(*parse_duration("106751991167d"), std::chrono::hours(24LL * 106751991167));
  for (const char* text : {"9223372036854775808ms", "9223372036854776s", "106751991168d",
                           "18446744073709551615d", "99999999999999999999h"}) {
    const auto time = parse_duration(text);
    ASSERT_FALSE(time) << text;
    EXPECT_EQ(time.error().message, "this duration is too large to count");
  }
}

TEST(Duration, is_shown_in_the_largest_unit_that_fits) {
  EXPECT_EQ(format_duration(milliseconds(0)), "0");
  EXPECT_EQ(format_duration(milliseconds(1)), "1ms");
  EXPECT_EQ(format_duration(milliseconds(1500)), "1500ms");
  EXPECT_EQ(format_duration(std::chrono::seconds(90)), "90s");
  EXPECT_EQ(format_duration(std::chrono::seconds(120)), "2min");
  EXPECT_EQ(format_duration(std::chrono::minutes(90)), "90min");
  EXPECT_EQ(format_duration(std::chrono::hours(24)), "1d");
  EXPECT_EQ(format_duration(milliseconds(-1500)), "-1500ms");
  EXPECT_EQ(format_duration(milliseconds::min()), "-9223372036854775808ms");
}

TEST(Size, is_read_in_each_unit) {
  EXPECT_EQ(parse_size("7B")->value(), 7U);
  EXPECT_EQ(parse_size("64KiB")->value(), 65536U);
  EXPECT_EQ(parse_size("1MiB")->value(), 1048576U);
  EXPECT_EQ(parse_size("2GiB")->value(), 2147483648U);
  EXPECT_EQ(parse_size("1TiB")->value(), 1099511627776U);
  EXPECT_EQ(parse_size("16kB")->value(), 16000U);
  EXPECT_EQ(parse_size("3MB")->value(), 3000000U);
  EXPECT_EQ(parse_size("4GB")->value(), 4000000000U);
  EXPECT_EQ(parse_size("5TB")->value(), 5000000000000U);
  EXPECT_EQ(parse_size("0")->value(), 0U);
}

TEST(Size, refuses_what_is_no_number_and_unit) {
  for (const char* text :
       {"", "64", "64K", "64KB", "64kb", "64kib", "KiB", "-1B", "1.5MiB", "1 B"}) {
    EXPECT_FALSE(parse_size(text)) << '"' << text << '"';
  }
  EXPECT_EQ(parse_size("64").error().message,
            "expected a size such as \"64KiB\" (the number needs a unit: B, KiB, MiB, GiB, TiB, or "
            "kB, MB, GB, TB by thousands)");
}

TEST(Size, is_checked_for_overflow) {
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(parse_size("18446744073709551615B")->value(), kMost);
  EXPECT_EQ(parse_size("18014398509481983KiB")->value(), kMost - 1023);
  for (const char* text : {"18446744073709551616B", "18014398509481984KiB", "16777216TiB"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().message, "this size is too large to count");
  }
}

TEST(Size, is_shown_in_the_largest_unit_that_fits) {
  EXPECT_EQ(format_size(ByteSize(0)), "0");
  EXPECT_EQ(format_size(ByteSize(1)), "1B");
  EXPECT_EQ(format_size(ByteSize(1023)), "1023B");
  EXPECT_EQ(format_size(ByteSize(65536)), "64KiB");
  EXPECT_EQ(format_size(ByteSize(16000)), "16kB");
  EXPECT_EQ(format_size(ByteSize(1024000)), "1000KiB");
  EXPECT_EQ(format_size(ByteSize(1000000000000)), "1TB");
  EXPECT_EQ(format_size(ByteSize(1ULL << 40)), "1TiB");
}

TEST(Units, read_back_whatever_they_write) {
  std::mt19937_64 random(20240607);
  for (int i = 0; i < 20000; ++i) {
    // Shifting gives each magnitude its share; zeros at the end give each unit its share.
    const std::uint64_t small = random() >> (random() % 64);
    const std::uint64_t days = small / 86'400'000 * 86'400'000;
    const std::uint64_t mebibytes = small >> 20 << 20;
    for (const std::uint64_t value : {small, days, mebibytes}) {
      ASSERT_EQ(parse_size(format_size(ByteSize(value)))->value(), value);
      const milliseconds time(static_cast<std::int64_t>(value >> 1));
      ASSERT_EQ(*parse_duration(format_duration(time)), time);
    }
  }
}

}  // namespace
}  // namespace forebay::config
