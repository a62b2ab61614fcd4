#include "metrics/open_metrics.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <regex>
#include <string>

namespace forebay::metrics {
namespace {

core::SlowSample sample(const std::string& user, std::uint64_t microseconds, char id, char flag) {
  core::SlowSample made{
      .ended = std::chrono::steady_clock::now(), .database = "a\"b", .user = user};
  made.time.server = microseconds;
  made.traceparent =
      "00-" + std::string(32, id) + "-" + std::string(16, id) + "-0" + std::string(1, flag);
  return made;
}

std::string bucket(const std::string& user, const std::string& bound) {
  return R"(forebay_statement_duration_seconds_bucket{database="a\"b",user=")" + user + "\",le=\"" +
         bound + "\"} 3";
}

TEST(OpenMetrics, an_exemplar_finds_a_name_that_is_no_utf8) {
  const std::string text = bucket("u\\\\xff", "5") + '\n';
  EXPECT_NE(open_metrics(text, {sample("u\xff", 2'000'000, 'b', '1')}).find(" # {trace_id="),
            std::string::npos);
}

TEST(OpenMetrics, counters_are_named_without_total) {
  EXPECT_EQ(open_metrics("# HELP x_total Some x.\n# TYPE x_total counter\nx_total{a=\"b\"} 1\n"
                         "# HELP y Some y.\n# TYPE y gauge\ny 2\n"
                         "# HELP z Some z.\n# TYPE z counter\nz 3\n",
                         {}),
            "# HELP x Some x.\n# TYPE x counter\nx_total{a=\"b\"} 1\n"
            "# HELP y Some y.\n# TYPE y gauge\ny 2\n"
            "# HELP z Some z.\n# TYPE z unknown\nz 3\n# EOF\n");
  EXPECT_EQ(open_metrics("", {}), "# EOF\n");
}

TEST(OpenMetrics, each_exemplar_stands_in_its_bucket) {
  const std::string text = bucket("u", "1") + "\n" + bucket("u", "2.5") + "\n" +
                           bucket("u", "+Inf") + "\n" + bucket("v", "1") + "\n";
  const std::string out =
      open_metrics(text, {sample("u", 2'000'000, 'b', '1'), sample("u", 1'500'000, 'c', '1'),
                          sample("u", 1'000'000, 'a', '1'), sample("u", 9'000'000, 'd', '0'),
                          sample("w", 1, 'e', '1')});
  const auto with = [](const std::string& line, char id, const std::string& value) {
    std::string pattern;
    for (const char c : line) pattern += std::string(std::isalnum(c) != 0 ? "" : "\\") + c;
    return pattern + " # \\{trace_id=\"" + id + "{32}\",span_id=\"" + id + "{16}\"\\} " + value +
           " [0-9]{10}\\.[0-9]{3}\n";
  };
  const std::regex wanted(with(bucket("u", "1"), 'a', "1\\.000000") +
                          with(bucket("u", "2.5"), 'b', "2\\.000000") + "[^#]*# EOF\n");
  EXPECT_TRUE(std::regex_match(out, wanted)) << out;
}

}  // namespace
}  // namespace forebay::metrics
