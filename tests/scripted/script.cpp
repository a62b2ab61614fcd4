#include "scripted/script.hpp"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "support/world.hpp"

namespace forebay::test {
namespace {

using std::chrono::milliseconds;

milliseconds time_of(const std::string& text) {
  std::size_t digits = 0;
  const long number = std::stol(text, &digits);
  const std::string unit = text.substr(digits);
  if (unit == "ms") return milliseconds(number);
  if (unit == "s") return std::chrono::seconds(number);
  throw std::runtime_error("a time is 100ms or 2s, not " + text);
}

config::PoolMode mode_of(const std::string& text) {
  if (text == "session") return config::PoolMode::session;
  if (text == "transaction") return config::PoolMode::transaction;
  if (text == "statement") return config::PoolMode::statement;
  throw std::runtime_error("no such pool_mode: " + text);
}

// Limits of statements, all of them of the database.
bool configure_limit(config::StatementLimits& limits, const Word& word) {
  const auto set = [&](std::uint32_t& limit) {
    limit = static_cast<std::uint32_t>(std::stoul(word.text));
    return true;
  };
  if (word.name == "max_statements") return set(limits.max_statements);
  if (word.name == "max_statements_per_second") return set(limits.max_statements_per_second);
  if (word.name == "statement_burst") return set(limits.statement_burst);
  if (word.name == "max_waiting_statements") return set(limits.max_waiting_statements);
  if (word.name == "max_bytes_per_second") {
    limits.max_bytes_per_second = config::ByteSize(std::stoul(word.text));
    return true;
  }
  return false;
}

void configure(Script& script, const Word& word) {
  config::Config& config = script.config;
  const std::string& name = word.name;
  const std::string& value = word.text;
  const auto number = [&] { return static_cast<std::uint32_t>(std::stoul(value)); };
  if (name == "pool_mode") {
    config.pool.pool_mode = mode_of(value);
  } else if (name == "pool_size") {
    config.pool.pool_size = number();
  } else if (name == "server_round_robin") {
    config.pool.server_round_robin = value == "true";
  } else if (name == "shared_listen") {
    config.pool.shared_listen = value == "true";
  } else if (name == "query_wait_timeout") {
    config.pool.query_wait_timeout = time_of(value);
  } else if (name == "statement_timeout") {
    config.pool.statement_timeout = time_of(value);
  } else if (name == "transaction_timeout") {
    config.pool.transaction_timeout = time_of(value);
  } else if (name == "idle_transaction_timeout") {
    config.pool.idle_transaction_timeout = time_of(value);
  } else if (name == "client_idle_timeout") {
    config.pool.client_idle_timeout = time_of(value);
  } else if (name == "timeout_action") {
    config.pool.timeout_action =
        value == "close" ? config::TimeoutAction::close : config::TimeoutAction::cancel;
  } else if (name == "max_prepared_statements") {
    config.max_prepared_statements = number();
  } else if (name == "client_login_timeout") {
    config.client_login_timeout = time_of(value);
  } else if (name == "server_check_delay") {
    config.server_check_delay = time_of(value);
  } else if (name == "server_recovery_timeout") {
    config.server_recovery_timeout = time_of(value);
  } else if (name == "logins" && value == "scripted") {
    script.scripted_logins = true;
  } else if (name == "cut" && value == "no") {
    script.whole_only = true;
  } else if (configure_limit(config.databases["app"].statements, word)) {
    return;
  } else if (name != "only") {  // where else it runs is not for us
    throw std::runtime_error("no such setting: " + name);
  }
}

// One line of the file, already joined with the lines that continue it.
void read_line(Script& script, const std::string& line, std::size_t number) {
  const std::vector<Words> messages = split(line);
  const Words& first = messages.at(0);
  Step step;
  step.line = number;
  step.peer = first.at(0).text;
  const std::string verb = first.size() > 1 && first[1].name.empty() ? first[1].text : "";
  if (step.peer == "config") {
    for (std::size_t i = 1; i < first.size(); ++i) configure(script, first[i]);
    return;
  }
  if (step.peer == "wait") {
    step.kind = Step::Kind::pass;
    step.time = time_of(verb);
  } else if (step.peer == "waiting") {
    step.kind = Step::Kind::waiting;
    step.count = std::stoul(verb);
  } else if (verb == "->") {
    step.messages = messages;
    const std::string to = first.at(2).text;
    step.messages[0].erase(step.messages[0].begin(), step.messages[0].begin() + 3);
    if (step.messages[0].empty()) throw std::runtime_error("no message");
    script.steps.push_back(step);
    step.kind = Step::Kind::receive;
    step.peer = to;
  } else if (verb == "login" || verb == ">" || verb == "<") {
    step.kind = verb == "login" ? Step::Kind::login
                                : (verb == ">" ? Step::Kind::send : Step::Kind::receive);
    step.messages = messages;
    step.messages[0].erase(step.messages[0].begin(), step.messages[0].begin() + 2);
    if (step.messages[0].empty() && verb != "login") throw std::runtime_error("no message");
  } else {
    throw std::runtime_error(
        "a line is PEER login, PEER > messages, PEER < messages, wait TIME, "
        "waiting N or config NAME=VALUE");
  }
  script.steps.push_back(std::move(step));
}

}  // namespace

bool is_server(const std::string& peer) {
  return peer.size() > 1 && peer[0] == 'S' && peer[1] >= '0' && peer[1] <= '9';
}

bool has_placeholder(const Words& message) {
  return std::any_of(message.begin(), message.end(), [](const Word& word) {
    return !word.quoted && word.name.empty() && (word.text == "*" || word.text == "...");
  });
}

std::vector<std::string> Script::peers() const {
  std::vector<std::string> all;
  for (const Step& step : steps) {
    const bool named = step.kind != Step::Kind::pass && step.kind != Step::Kind::waiting;
    if (named && std::find(all.begin(), all.end(), step.peer) == all.end()) {
      all.push_back(step.peer);
    }
  }
  return all;
}

Script read_script(const std::filesystem::path& file) {
  Script script;
  script.name = file.stem().string();
  script.config = plain_config();
  std::ifstream in(file);
  if (!in) throw std::runtime_error("cannot read " + file.string());
  std::string pending;
  std::size_t pending_line = 0;
  std::size_t number = 0;
  const auto finish = [&] {
    if (pending.empty()) return;
    try {
      read_line(script, pending, pending_line);
    } catch (const std::exception& error) {
      throw std::runtime_error(script.name + ".wire:" + std::to_string(pending_line) + ": " +
                               error.what());
    }
    pending.clear();
  };
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos || line[begin] == '#') continue;
    if (begin > 0) {
      pending += " " + line.substr(begin);
      continue;
    }
    finish();
    pending = line;
    pending_line = number;
  }
  finish();
  return script;
}

}  // namespace forebay::test
