#include "app/log_journal.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <utility>

namespace forebay::app {
namespace {

constexpr std::size_t kQueueLines = 8192;

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

// What a client chose must not break the line, nor look like one of ours.
void append_text(std::string& line, std::string_view value) {
  const bool plain = !value.empty() && value.find_first_of(" \"=\\") == std::string_view::npos;
  std::string escaped;
  bool quote = !plain;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 32 || byte == 127) {
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
constexpr Member kMembers[] = {{"database", &core::Fact::database},
                               {"user", &core::Fact::user},
                               {"client", &core::Fact::peer},
                               {"server", &core::Fact::host},
                               {"sqlstate", &core::Fact::sqlstate}};

}  // namespace

std::string text_line(const core::Fact& fact) {
  std::string line(fact.event);
  line += ": ";
  for (const char c : fact.text) line.push_back(c == '\n' || c == '\r' ? ' ' : c);
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
  std::string line = "\"event\":";
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

Result<std::unique_ptr<LogJournal>> LogJournal::open(const config::Config& config) {
  std::unique_ptr<LogJournal> journal(new LogJournal);
  journal->json_ = config.log_format == config::LogFormat::json;
  journal->log_connections_ = config.log_connections;
  try {
    spdlog::sink_ptr sink;
    if (config.log_file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(config.log_file);
    }
    spdlog::init_thread_pool(kQueueLines, 1);
    journal->logger_ =
        std::make_shared<spdlog::async_logger>("forebay", std::move(sink), spdlog::thread_pool(),
                                               spdlog::async_overflow_policy::overrun_oldest);
    journal->logger_->set_level(level_of(config.log_level));
    journal->logger_->flush_on(spdlog::level::warn);
    spdlog::register_logger(journal->logger_);
    spdlog::flush_every(std::chrono::seconds(1));
    journal->logger_->set_pattern(journal->json_
                                      ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})"
                                      : "%Y-%m-%d %H:%M:%S.%e %z %l %v");
  } catch (const std::exception& error) {
    return failure("cannot write the log to \"" + config.log_file + "\": " + error.what());
  }
  return journal;
}

LogJournal::~LogJournal() {
  flush();
  logger_.reset();
  spdlog::shutdown();
}

void LogJournal::note(const core::Fact& fact) {
  const auto level = level_of(fact.weight);
  if (!logger_->should_log(level)) return;
  logger_->log(level, json_ ? json_line(fact) : text_line(fact));
}

void LogJournal::flush() {
  logger_->flush();
}

std::size_t LogJournal::lost() const {
  return spdlog::thread_pool()->overrun_counter();
}

}  // namespace forebay::app
