#include "app/log_journal.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

namespace forebay::app {
namespace {

constexpr std::size_t kQueueLines = 8192;
constexpr std::chrono::seconds kFlushEvery{1};

spdlog::level::level_enum level_of(core::Weight weight) {
  switch (weight) {
    case core::Weight::detail:
      return spdlog::level::debug;
    case core::Weight::normal:
      return spdlog::level::info;
    case core::Weight::warning:
      return spdlog::level::warn;
    case core::Weight::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::level::level_enum level_of(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::debug:
      return spdlog::level::debug;
    case config::LogLevel::info:
      return spdlog::level::info;
    case config::LogLevel::warning:
      return spdlog::level::warn;
    case config::LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

/// A line with one client's facts seldom has more.
constexpr std::size_t kUsualLine = 256;

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 32 || byte == 127;
}

// What a client chose must not break the line, nor look like one of ours.
void append_text(std::string& line, std::string_view value) {
  const bool plain = !value.empty() && value.find_first_of(" \"=\\") == std::string_view::npos;
  if (plain && std::ranges::none_of(value, is_control)) {
    line += value;
    return;
  }
  std::string escaped;
  bool quote = !plain;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_control(c)) {
      constexpr char kHex[] = "0123456789abcdef";
      escaped += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
      quote = true;
    } else {
      if (c == '"' || c == '\\') escaped.push_back('\\');
      escaped.push_back(c);
    }
  }
  if (quote) line.push_back('"');
  line += escaped;
  if (quote) line.push_back('"');
}

void append_json(std::string& line, std::string_view value) {
  line.push_back('"');
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 32 || byte >= 127) {
      // Bytes that are not ASCII may not be UTF-8 either: shown as Latin-1.
      constexpr char kHex[] = "0123456789abcdef";
      line += "\\u00";
      line += {kHex[byte >> 4], kHex[byte & 15]};
    } else {
      if (c == '"' || c == '\\') line.push_back('\\');
      line.push_back(c);
    }
  }
  line.push_back('"');
}

using Member = std::pair<std::string_view, std::string_view core::Fact::*>;
constexpr Member kMembers[] = {
    {"database", &core::Fact::database}, {"user", &core::Fact::user},
    {"tenant", &core::Fact::tenant},     {"client", &core::Fact::peer},
    {"server", &core::Fact::host},       {"sqlstate", &core::Fact::sqlstate}};

}  // namespace

std::string text_line(const core::Fact& fact) {
  std::string line;
  line.reserve(kUsualLine);
  line += fact.event;
  line += ": ";
  const std::size_t text = line.size();
  line += fact.text;
  // Names that a client chose may stand in it: nothing of them is a terminal's to obey.
  std::replace_if(line.begin() + static_cast<std::ptrdiff_t>(text), line.end(), is_control, ' ');
  for (const auto& [name, member] : kMembers) {
    if ((fact.*member).empty()) continue;
    line.push_back(' ');
    line += name;
    line.push_back('=');
    append_text(line, fact.*member);
  }
  return line;
}

std::string json_line(const core::Fact& fact) {
  std::string line;
  line.reserve(kUsualLine);
  line += "\"event\":";
  append_json(line, fact.event);
  line += ",\"message\":";
  append_json(line, fact.text);
  for (const auto& [name, member] : kMembers) {
    if ((fact.*member).empty()) continue;
    line += ",";
    append_json(line, name);
    line += ":";
    append_json(line, fact.*member);
  }
  return line;
}

struct LogJournal::Output {
  std::shared_ptr<spdlog::logger> logger;
  bool json = false;
  bool connections = true;
  std::uint32_t event_rate = 0;
  config::LogLevel level = config::LogLevel::info;
};

Result<std::unique_ptr<LogJournal>> LogJournal::open(const config::Config& config) {
  spdlog::init_thread_pool(kQueueLines, 1);
  spdlog::flush_every(kFlushEvery);
  auto output = open_output(config);
  if (output.has_error()) return output.error();
  std::unique_ptr<LogJournal> journal(new LogJournal);
  journal->use(std::move(output.value()));
  return journal;
}

Result<std::shared_ptr<const LogJournal::Output>> LogJournal::open_output(
    const config::Config& config) {
  auto output = std::make_shared<Output>();
  output->json = config.log_format == config::LogFormat::json;
  output->connections = config.log_connections;
  output->event_rate = config.log_event_rate;
  output->level = config.log_level;
  try {
    spdlog::sink_ptr sink;
    if (config.log_file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(config.log_file);
    }
    output->logger =
        std::make_shared<spdlog::async_logger>("forebay", std::move(sink), spdlog::thread_pool(),
                                               spdlog::async_overflow_policy::overrun_oldest);
    output->logger->set_level(level_of(config.log_level));
    output->logger->flush_on(spdlog::level::warn);
    output->logger->set_pattern(output->json
                                    ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})"
                                    : "%Y-%m-%d %H:%M:%S.%e %z %l %v");
  } catch (const std::exception& error) {
    return failure("cannot write the log to \"" + config.log_file + "\": " + error.what());
  }
  return std::shared_ptr<const Output>(std::move(output));
}

void LogJournal::use(std::shared_ptr<const Output> output) {
  log_connections_.store(output->connections, std::memory_order_relaxed);
  level_.store(output->level, std::memory_order_relaxed);
  limits_.set_rate(output->event_rate);
  output->logger->set_error_handler([failures = failures_](const std::string& why) {
    if (failures->fetch_add(1) == 0) {
      std::fprintf(stderr, "forebay: cannot write to the log: %s\n", why.c_str());
    }
  });
  spdlog::drop("forebay");
  spdlog::register_logger(output->logger);  // so that it is flushed from time to time
  const std::lock_guard lock(mutex_);
  output_ = std::move(output);
}

std::shared_ptr<const LogJournal::Output> LogJournal::output() const {
  const std::lock_guard lock(mutex_);
  return output_;
}

LogJournal::~LogJournal() {
  flush();
  // It goes when the thread that wrote to it has ended.
  const std::shared_ptr<const Output> last = std::move(output_);
  spdlog::shutdown();
}

void LogJournal::note(const core::Fact& fact) {
  if (level_of(fact.weight) < level_of(level_.load(std::memory_order_relaxed))) return;
  if (!limits_.admit(fact.event, fact.weight, std::chrono::steady_clock::now())) return;
  write(fact);
}

void LogJournal::write(const core::Fact& fact) {
  const auto output = this->output();
  output->logger->log(level_of(fact.weight), output->json ? json_line(fact) : text_line(fact));
}

void LogJournal::tell_left_out() {
  tell(limits_.look());
}

void LogJournal::tell(const std::vector<EventLimits::LeftOut>& left_out) {
  for (const EventLimits::LeftOut& left : left_out) {
    write({.weight = left.weight,
           .event = "lines_left_out",
           .text = left.event + ": " + std::to_string(left.lines) +
                   (left.lines == 1 ? " more was" : " more were") +
                   " left out, for [log] event_rate"});
  }
}

void LogJournal::flush() {
  tell(limits_.rest());
  output()->logger->flush();
}

std::size_t LogJournal::lost() const {
  return spdlog::thread_pool()->overrun_counter();
}

}  // namespace forebay::app
