#include <algorithm>

#include "support/fake_postgres.hpp"

// What the model server's statements do.
namespace forebay::test {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// The words of a statement; quotes and commas only separate.
Words words_of(const std::string& text) {
  Words words;
  std::string word;
  for (const char c : text + ' ') {
    if (c == ' ' || c == '\'' || c == ',' || c == '=') {
      if (!word.empty()) words.push_back({std::exchange(word, {}), {}, false});
    } else {
      word.push_back(c);
    }
  }
  return words;
}

/// In front of the names of temporary tables, among the settings.
constexpr const char* kTable = "table ";
constexpr const char* kListen = "listen ";
constexpr const char* kNotify = "notify ";

std::string unquoted(std::string name) {
  std::erase(name, '"');
  return name;
}

bool gives_rows(const std::string& text) {
  const std::string first = lower(text.substr(0, text.find(' ')));
  return first == "select" || first == "rows" || first == "show" || first == "sleep";
}

bool ends_block(const std::string& text) {
  const std::string first = lower(text.substr(0, text.find(' ')));
  return first == "commit" || first == "rollback" || first == "end" || first == "abort";
}

// $1, $2, ... are replaced.
std::string put_in(const std::string& text,
                   const std::vector<std::optional<std::string>>& parameters) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t number =
        text[i] == '$' && i + 1 < text.size() ? static_cast<std::size_t>(text[i + 1] - '0') : 0;
    if (number >= 1 && number <= parameters.size()) {
      result += parameters[number - 1].value_or("NULL");
      ++i;
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

std::size_t parameter_count(const std::string& text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] != '$' || text[i + 1] < '1' || text[i + 1] > '9') continue;
    count = std::max(count, static_cast<std::size_t>(text[i + 1] - '0'));
  }
  return count;
}

}  // namespace

// ---------------------------------------------------------------- Describe and Execute

void FakeBackend::on_describe(const Words& message) {
  const std::string name = message[2].text.substr(0, pg::kNameMax);
  std::string text;
  if (message[1].text == "S") {
    const Statement* statement = nullptr;
    if (name.empty()) {
      if (!unnamed_) throw Failure{"26000", "unnamed prepared statement does not exist"};
      statement = &*unnamed_;
    } else {
      const auto found = statements_.find(name);
      if (found == statements_.end()) {
        throw Failure{"26000", "prepared statement \"" + name + "\" does not exist"};
      }
      statement = &found->second;
    }
    text = statement->text;
    std::string types = "ParameterDescription";
    for (std::size_t i = 0; i < parameter_count(text); ++i) {
      types += " " + std::to_string(i < statement->types.size() ? statement->types[i] : 25);
    }
    put(types);
  } else {
    const auto found = portals_.find(name);
    if (found == portals_.end()) {
      throw Failure{"34000", "portal \"" + name + "\" does not exist"};
    }
    text = found->second.text;
  }
  put(gives_rows(text) ? "RowDescription \"c\"" : "NoData");
}

void FakeBackend::on_execute(const Words& message) {
  const auto found = portals_.find(message[1].text.substr(0, pg::kNameMax));
  if (found == portals_.end()) {
    throw Failure{"34000", "portal \"" + message[1].text + "\" does not exist"};
  }
  Portal& portal = found->second;
  check_allowed(portal.text);
  if (portal.text.empty()) {
    put("EmptyQueryResponse");
    return;
  }
  const std::size_t most = message.size() > 2 ? std::stoul(message[2].text) : 0;
  if (!portal.text.starts_with("rows ")) {
    const Portal copy = portal;  // the statement may end the transaction, and the portal with it
    execute(copy.text, copy.parameters, false);
    return;
  }
  const Words words = words_of(portal.text);
  const std::size_t total = std::stoul(words[1].text);
  std::size_t sent = 0;
  for (; portal.next_row < total && (most == 0 || sent < most); ++sent) {
    ++portal.next_row;
    put("DataRow " + quote(words[2].text + "-" + std::to_string(portal.next_row)));
  }
  const bool suspended = most != 0 && sent == most;
  put(suspended ? "PortalSuspended" : "CommandComplete " + quote("SELECT " + std::to_string(sent)));
}

// ---------------------------------------------------------------- statements

void FakeBackend::begin_statement(const std::string&) {
  if (begun_) return;
  begun_ = true;
  before_ = settings_;
}

void FakeBackend::check_allowed(const std::string& text) const {
  if (!failed_ || ends_block(text)) return;
  throw Failure{"25P02",
                "current transaction is aborted, commands ignored until end of transaction block"};
}

// The statements of a Query that are left.
void FakeBackend::run_rest() {
  while (!rest_.empty()) {
    const std::string text = rest_.front();
    rest_.pop_front();
    begin_statement(text);
    check_allowed(text);
    if (!execute(text, {}, true)) return;
  }
  end_implicit();
  ready();
}

// False when the statement goes on: asleep, or in COPY.
bool FakeBackend::execute(const std::string& text, const Parameters& parameters, bool simple) {
  executed_.push_back(put_in(text, parameters));
  const Words words = words_of(text);
  const std::string word = lower(words.at(0).text);
  if (execute_transaction(word, words)) return true;
  if (execute_name(word, words, text, simple)) return !sleeping_;
  if (execute_setting(word, words, parameters, simple)) return true;
  if (execute_object(word, words, text, simple)) return true;
  if (execute_listen(word, words)) return true;
  if (word == "copy") return execute_copy(words, simple);
  if (word == "error") {
    throw Failure{words.size() > 1 ? words[1].text : "22012", "failed: " + text};
  }
  if (word == "fatal") throw Failure{"57P01", "terminating connection: " + text, true};
  if (word == "insert") {
    put("CommandComplete \"INSERT 0 1\"");
  } else if (word == "notice") {
    put("NoticeResponse NOTICE 00000 " + quote(text));
    put("CommandComplete \"DO\"");
  } else if (word == "notify") {
    put("NotificationResponse " + std::to_string(process_id_) + " \"c\" " + quote(text));
    put("CommandComplete \"NOTIFY\"");
  } else if (word == "rows") {
    if (simple) put("RowDescription \"c\"");
    const std::size_t total = std::stoul(words.at(1).text);
    for (std::size_t i = 1; i <= total; ++i) {
      put("DataRow " + quote(words.at(2).text + "-" + std::to_string(i)));
    }
    put("CommandComplete " + quote("SELECT " + std::to_string(total)));
  } else if (word == "sleep") {
    sleeping_ = put_in(text, parameters);
    sleeping_simple_ = simple;
    return false;
  } else {
    put_row(put_in(text, parameters), simple, "SELECT 1");
  }
  return true;
}

void FakeBackend::wake() {
  put_row(*std::exchange(sleeping_, std::nullopt), sleeping_simple_, "SELECT 1");
  if (!sleeping_simple_) return;
  extended_ = false;
  try {
    run_rest();
  } catch (const Failure& failure) {
    fail(failure);
  }
}

void FakeBackend::put_row(const std::string& text, bool simple, const std::string& tag) {
  if (simple) put("RowDescription \"c\"");
  put("DataRow " + quote(text));
  put("CommandComplete " + quote(tag));
}

bool FakeBackend::execute_transaction(const std::string& word, const Words& words) {
  if (word == "savepoint") {
    if (!in_block_) throw Failure{"25P01", "SAVEPOINT can only be used in transaction blocks"};
    savepoints_[words.at(1).text] = last_savepoint_ = settings_;
    put("CommandComplete \"SAVEPOINT\"");
  } else if (word == "rollback" && words.size() > 2) {
    const auto found = savepoints_.find(words[2].text);
    if (found == savepoints_.end()) throw Failure{"3B001", "savepoint does not exist"};
    settings_ = last_savepoint_ = found->second;
    failed_ = false;
    put("CommandComplete \"ROLLBACK\"");
  } else if (word == "begin" || word == "start") {
    in_block_ = true;
    put("CommandComplete \"BEGIN\"");
  } else if (word == "commit" || word == "end") {
    put(failed_ ? "CommandComplete \"ROLLBACK\"" : "CommandComplete \"COMMIT\"");
    end_transaction(!failed_);
  } else if (word == "rollback" || word == "abort") {
    put("CommandComplete \"ROLLBACK\"");
    end_transaction(false);
  } else {
    return false;
  }
  return true;
}

bool FakeBackend::execute_setting(const std::string& word, const Words& words,
                                  const Parameters& parameters, bool simple) {
  if (word == "select" && words.size() > 1 && words[1].text.starts_with("pg_catalog.set_config")) {
    const bool bound = !parameters.empty();
    const std::string name = bound ? parameters[0].value_or("") : words.at(2).text;
    const std::optional<std::string> value = bound ? parameters.at(1) : words.at(3).text;
    set(name, value);
    put_row(value.value_or(""), simple, "SELECT 1");
  } else if (word == "set") {
    set(words.at(1).text, words.at(words.at(2).text == "TO" ? 3 : 2).text);
    put("CommandComplete \"SET\"");
  } else if (word == "show") {
    put_row(setting(lower(words.at(1).text)), simple, "SHOW");
  } else if (word == "reset") {
    if (words.at(1).text == "all") {
      for (const auto& [name, value] : defaults_) settings_[name] = value;
    } else {
      set(words[1].text, std::nullopt);
    }
    put("CommandComplete \"RESET\"");
  } else {
    return false;
  }
  return true;
}

// What SQL says of prepared statements.
bool FakeBackend::execute_name(const std::string& word, const Words& words, const std::string& text,
                               bool simple) {
  if (word != "prepare" && word != "execute" && word != "deallocate") return false;
  const std::string name = unquoted(words.at(1).text);
  if (word == "prepare") {
    const std::size_t as = lower(text).find(" as ") + 4;
    if (!statements_.emplace(name, Statement{text.substr(as), {}}).second) {
      throw Failure{"42P05", "prepared statement \"" + name + "\" already exists"};
    }
    put("CommandComplete \"PREPARE\"");
    return true;
  }
  if (word == "deallocate" && lower(name) == "all") {
    statements_.clear();
    put("CommandComplete \"DEALLOCATE ALL\"");
    return true;
  }
  const auto found = statements_.find(name);
  if (found == statements_.end()) {
    throw Failure{"26000", "prepared statement \"" + name + "\" does not exist"};
  }
  if (word == "deallocate") {
    statements_.erase(found);
    put("CommandComplete \"DEALLOCATE\"");
  } else {
    const std::string executed = found->second.text;
    execute(executed, {}, simple);
  }
  return true;
}

// What a session has besides its settings, and what takes it away.
bool FakeBackend::execute_object(const std::string& word, const Words& words,
                                 const std::string& text, bool simple) {
  const auto argument = [&] {
    const std::size_t begin = text.find('(') + 1;
    return text.substr(begin, text.find(')') - begin);
  };
  if (word == "create") {
    if (!settings_.emplace(kTable + words.at(3).text, "").second) {
      throw Failure{"42P07", "relation \"" + words[3].text + "\" already exists"};
    }
    put("CommandComplete \"CREATE TABLE\"");
  } else if (word == "drop") {
    if (settings_.erase(kTable + words.at(2).text) == 0) {
      throw Failure{"42P01", "table \"" + words[2].text + "\" does not exist"};
    }
    put("CommandComplete \"DROP TABLE\"");
  } else if (word == "discard" && lower(words.at(1).text) == "temp") {
    std::erase_if(settings_, [](const auto& entry) { return entry.first.starts_with(kTable); });
    put("CommandComplete \"DISCARD TEMP\"");
  } else if (word == "discard" && lower(words.at(1).text) == "plans") {
    put("CommandComplete \"DISCARD PLANS\"");
  } else if (word == "discard") {
    if (in_block_) throw Failure{"25001", "DISCARD ALL cannot run inside a transaction block"};
    statements_.clear();
    locks_.clear();
    settings_ = defaults_;
    put("CommandComplete \"DISCARD ALL\"");
  } else if (text.starts_with("SELECT pg_catalog.pg_advisory_unlock_all")) {
    locks_.clear();
    put_row("", simple, "SELECT 1");
  } else if (text.starts_with("SELECT FROM pg_catalog.generate_series(1,")) {
    const auto has = [this](const char* what) {
      const auto found = settings_.lower_bound(what);
      return found != settings_.end() && found->first.starts_with(what);
    };
    const int bits = (has(kTable) ? 1 : 0) + (has(kListen) ? 4 : 0) + (locks_.empty() ? 0 : 8);
    put("RowDescription ; CommandComplete " + quote("SELECT " + std::to_string(bits)));
  } else if (text.starts_with("select pg_advisory_lock(")) {
    locks_.insert(argument());
    put_row(text, simple, "SELECT 1");
  } else if (text.starts_with("select pg_advisory_unlock(")) {
    const auto held = locks_.find(argument());
    if (held == locks_.end()) {
      put("NoticeResponse WARNING 01000 \"you don't own a lock of type ExclusiveLock\"");
    } else {
      locks_.erase(held);
    }
    put_row(text, simple, "SELECT 1");
  } else {
    return false;
  }
  return true;
}

// All of them take effect with the commit.
bool FakeBackend::execute_listen(const std::string& word, const Words& words) {
  if (word == "listen") {
    settings_[kListen + unquoted(words.at(1).text)] = "";
    put("CommandComplete \"LISTEN\"");
  } else if (word == "unlisten") {
    const std::string name = kListen + unquoted(words.at(1).text);
    std::erase_if(settings_, [&](const auto& entry) {
      return name.ends_with('*') ? entry.first.starts_with(kListen) : entry.first == name;
    });
    put("CommandComplete \"UNLISTEN\"");
  } else if (word == "notify" && words.size() > 2) {
    const std::string number = std::to_string(1'000'000 + ++notified_);
    settings_[kNotify + number + ' ' + words[1].text] = words[2].text;
    put("CommandComplete \"NOTIFY\"");
  } else {
    return false;
  }
  return true;
}

// A transaction has committed.
void FakeBackend::send_notifications() {
  const std::size_t prefix = std::string(kNotify).size() + 8;  // and the number, and a blank
  for (auto sent = settings_.lower_bound(kNotify);
       sent != settings_.end() && sent->first.starts_with(kNotify); sent = settings_.erase(sent)) {
    const std::string channel = sent->first.substr(prefix);
    const std::string message = "NotificationResponse " + std::to_string(process_id_) + ' ' +
                                quote(channel) + ' ' + quote(sent->second);
    for (auto& [process, backend] : server_.backends_) {
      if (!backend->settings_.contains(kListen + channel)) continue;
      if (backend == this || !backend->idle()) {
        backend->incoming_ += backend->incoming_.empty() ? message : " ; " + message;
      } else {
        backend->say(message);
      }
    }
  }
}

std::string FakeBackend::belongings() const {
  std::string all;
  for (const auto& [name, value] : settings_) {
    if (name.starts_with(kTable) || name.starts_with(kListen)) all += ' ' + name;
  }
  for (const std::string& key : locks_) all += " lock " + key;
  return all;
}

bool FakeBackend::execute_copy(const Words& words, bool simple) {
  if (words.at(1).text == "in") {
    put("CopyInResponse");
    flush();
    copied_ = 0;
    copy_simple_ = simple;
    return false;
  }
  put("CopyOutResponse ; CopyData \"line 1\\n\" ; CopyData \"line 2\\n\" ; CopyDone");
  put("CommandComplete \"COPY 2\"");
  return true;
}

void FakeBackend::set(std::string name, const std::optional<std::string>& value) {
  name = lower(unquoted(name));
  if (!defaults_.contains(name)) {
    throw Failure{"42704", "unrecognized configuration parameter \"" + name + "\""};
  }
  if (value == "bad") {
    throw Failure{"22023", "invalid value for parameter \"" + name + "\": \"bad\""};
  }
  settings_[name] = value.value_or(defaults_[name]);
}

void FakeBackend::end_transaction(bool commit) {
  if (!commit && begun_) settings_ = before_;
  if (commit) send_notifications();
  in_block_ = false;
  failed_ = false;
  begun_ = false;
  portals_.clear();
  savepoints_.clear();
}

void FakeBackend::end_implicit() {
  if (!in_block_) end_transaction(true);
}

}  // namespace forebay::test
