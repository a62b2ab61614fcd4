#include "metrics/open_metrics.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>

#include "metrics/utf8.hpp"

namespace forebay::metrics {
namespace {

constexpr std::string_view kBuckets = "forebay_statement_duration_seconds_bucket{";
constexpr std::string_view kBound = ",le=\"";

using Samples = std::vector<const core::SlowSample*>;

// As labels have it.
std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : valid_utf8(value)) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

// "00-<32>-<16>-01"; what the tracer did not sample, nobody will find there.
bool is_sampled(std::string_view traceparent) {
  return traceparent.size() == 55 && (traceparent.back() - '0') % 2 == 1;
}

/// The samples of each series, the newest first, by its labels without the bound.
std::map<std::string, Samples, std::less<>> by_series(
    const std::vector<core::SlowSample>& samples) {
  std::map<std::string, Samples, std::less<>> series;
  for (const core::SlowSample& sample : samples) {
    if (!is_sampled(sample.traceparent)) continue;
    series["database=\"" + escaped(sample.database) + "\",user=\"" + escaped(sample.user) + '"']
        .push_back(&sample);
  }
  return series;
}

double seconds_of(const core::SlowSample& sample) {
  return static_cast<double>(sample.time.total()) / 1e6;
}

std::string exemplar(const core::SlowSample& sample) {
  using std::chrono::system_clock;
  const auto ago = std::chrono::steady_clock::now() - sample.ended;
  const auto then = system_clock::now() - std::chrono::duration_cast<system_clock::duration>(ago);
  const std::string_view trace = sample.traceparent;
  char numbers[64];
  std::snprintf(numbers, sizeof numbers, " %.6f %.3f", seconds_of(sample),
                std::chrono::duration<double>(then.time_since_epoch()).count());
  return std::string(" # {trace_id=\"")
      .append(trace.substr(3, 32))
      .append("\",span_id=\"")
      .append(trace.substr(36, 16))
      .append("\"}")
      .append(numbers);
}

// A type is not "counter" unless its samples end in _total, which its name does not have then.
std::string about(std::string_view line) {
  constexpr std::string_view kTotal = "_total";
  const std::string_view keyword = line.substr(0, line.find(' ', 2));
  std::string_view rest = line.substr(keyword.size() + 1);
  std::string_view name = rest.substr(0, rest.find(' '));
  rest.remove_prefix(name.size());
  if (name.ends_with(kTotal)) {
    name.remove_suffix(kTotal.size());
  } else if (rest == " counter") {
    rest = " unknown";
  }
  return std::string(keyword).append(" ").append(name).append(rest);
}

}  // namespace

std::string open_metrics(std::string_view text, const std::vector<core::SlowSample>& samples) {
  const auto series = by_series(samples);
  std::string out;
  out.reserve(text.size() + text.size() / 16);
  std::string_view labels;  // of the series at hand
  double below = 0;         // the bound of its bucket before
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with("# ")) {
      out += about(line);
    } else {
      out += line;
    }
    const std::size_t bound = line.starts_with(kBuckets) ? line.rfind(kBound) : line.npos;
    if (bound != line.npos) {
      const std::string_view its = line.substr(kBuckets.size(), bound - kBuckets.size());
      if (its != labels) below = -1;
      labels = its;
      const double above = std::strtod(line.data() + bound + kBound.size(), nullptr);  // or +Inf
      if (const auto found = series.find(its); found != series.end()) {
        for (const core::SlowSample* sample : found->second) {
          if (seconds_of(*sample) <= below || seconds_of(*sample) > above) continue;
          out += exemplar(*sample);
          break;
        }
      }
      below = above;
    }
    out += '\n';
  }
  return out + "# EOF\n";
}

}  // namespace forebay::metrics
