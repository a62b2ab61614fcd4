#include "support/fake_postgres.hpp"

#include <algorithm>

#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// The server's connections: login, messages, the end. Statements are in fake_statements.cpp.
namespace forebay::test {
namespace {

std::string significant(const std::string& name) {
  return name.substr(0, pg::kNameMax);
}

bool is_extended(const std::string& name) {
  return name == "Parse" || name == "Bind" || name == "Describe" || name == "Execute" ||
         name == "Close" || name == "Flush";
}

}  // namespace

std::unique_ptr<FakeBackend> FakePostgres::connect() {
  return std::make_unique<FakeBackend>(*this, ++next_process_);
}

void FakePostgres::cancel(std::uint32_t process_id, Bytes key) {
  if (const auto found = backends_.find(process_id); found != backends_.end()) {
    found->second->cancel(key);
  }
}

FakeBackend::FakeBackend(FakePostgres& server, std::uint32_t process_id)
    : server_(server), process_id_(process_id) {
  server_.backends_.emplace(process_id, this);
  for (int i = 0; i < 4; ++i) key_.push_back(static_cast<char>(process_id * 7 + 31u * i));
  defaults_ = {{"application_name", ""},
               {"client_encoding", "UTF8"},
               {"datestyle", "ISO, MDY"},
               {"default_transaction_read_only", "off"},
               {"extra_float_digits", "1"},
               {"intervalstyle", "postgres"},
               {"search_path", "\"$user\", public"},
               {"standard_conforming_strings", "on"},
               {"statement_timeout", "0"},
               {"timezone", "UTC"},
               {"work_mem", "4MB"}};
}

FakeBackend::~FakeBackend() {
  server_.backends_.erase(process_id_);
}

bool FakeBackend::step() {
  if (over_ || wants_tls_ || sleeping_) return false;
  if (!logged_in_) return start_up();
  const Words message = take_frontend(in_);
  if (message.empty()) return false;
  handle(message);
  return true;
}

void FakeBackend::run() {
  while (step()) {
  }
}

bool FakeBackend::idle() const noexcept {
  return !in_block_ && !begun_ && !skipping_ && !sleeping_ && !copied_ && in_.empty();
}

std::string FakeBackend::setting(const std::string& name) const {
  const auto found = settings_.find(name);
  return found == settings_.end() ? std::string() : found->second;
}

void FakeBackend::shut_down() {
  if (over_) return;
  put("ErrorResponse FATAL 57P01 \"terminating connection due to administrator command\"");
  flush();
  over_ = true;
}

void FakeBackend::say(std::string_view text) {
  put(text);
  flush();
}

// ---------------------------------------------------------------- login

bool FakeBackend::start_up() {
  if (authentication_) {
    const std::string before = in_;
    Words message = take_frontend(in_);
    if (message.empty()) return false;
    const std::string body = before.substr(5, before.size() - in_.size() - 5);
    std::string out;
    const auto outcome = authentication_->receive(body, out);
    buffered_ += out;
    flush();
    if (std::holds_alternative<auth::ClientAuthentication::Success>(outcome)) let_in();
    if (const auto* refusal = std::get_if<auth::Refusal>(&outcome)) {
      put("ErrorResponse FATAL " + refusal->sqlstate + " " + quote(refusal->message));
      flush();
      over_ = true;
    }
    return true;
  }
  const Words packet = take_startup(in_);
  if (packet.empty()) return false;
  on_startup(packet);
  return true;
}

void FakeBackend::on_startup(const Words& packet) {
  const std::string& kind = packet[0].text;
  if (kind == "SSLRequest" || kind == "GSSENCRequest") {
    wants_tls_ = kind == "SSLRequest" && server_.options().tls && !secure_;
    flushed_ += wants_tls_ ? "S" : "N";
    return;
  }
  if (kind == "CancelRequest") {
    was_cancel_ = true;
    over_ = true;
    server_.cancel(static_cast<std::uint32_t>(std::stoul(packet[1].text)), packet[2].text);
    return;
  }
  const std::uint32_t newest = server_.options().newest & 0xffff;
  if (std::stoul(packet[1].text.substr(2)) > newest) {
    put("NegotiateProtocolVersion 3." + std::to_string(newest));
  }
  for (std::size_t i = 2; i < packet.size(); ++i) {
    const std::string& name = packet[i].name;
    if (name == "user") user_ = packet[i].text;
    if (name == "user" || name == "database" || name == "replication") continue;
    if (defaults_.contains(name)) defaults_[name] = packet[i].text;
  }
  if (server_.options().password.empty()) {
    let_in();
    return;
  }
  auth::ClientAuthentication::Setup setup;
  setup.method = config::AuthMethod::scram_sha_256;
  setup.user = user_;
  setup.secrets = std::make_shared<const auth::UserSecrets>(
      auth::UserSecrets::make(user_, {config::Secret(server_.options().password)},
                              auth::ScramParameters{std::string(16, 's'), 4096})
          .value());
  authentication_.emplace(std::move(setup));
  std::string out;
  static_cast<void>(authentication_->begin(out));
  buffered_ += out;
  flush();
}

void FakeBackend::let_in() {
  authentication_.reset();
  logged_in_ = true;
  settings_ = defaults_;
  put("AuthenticationOk");
  put("ParameterStatus \"in_hot_standby\" " + quote(server_.options().recovery));
  put("ParameterStatus \"server_version\" " + quote(server_.options().version));
  buffered_ += backend("BackendKeyData " + std::to_string(process_id_) + " " + quote(key_));
  ready();
}

// ---------------------------------------------------------------- messages

void FakeBackend::handle(const Words& message) {
  const std::string& name = message[0].text;
  if (copied_ && on_copy(message)) return;
  if (name == "Terminate") {
    over_ = true;
    return;
  }
  if (name == "Sync") skipping_ = false;
  if (skipping_) return;
  extended_ = is_extended(name);
  try {
    dispatch(message);
  } catch (const Failure& failure) {
    fail(failure);
  }
}

void FakeBackend::dispatch(const Words& message) {
  const std::string& name = message[0].text;
  if (name == "Query") on_query(message[1].text);
  if (name == "Parse") on_parse(message);
  if (name == "Bind") on_bind(message);
  if (name == "Describe") on_describe(message);
  if (name == "Execute") on_execute(message);
  if (name == "Close") on_close(message);
  if (name == "Sync") on_sync();
  if (name == "Flush") flush();
  if (name == "FunctionCall") {
    begin_statement("function");
    put("FunctionCallResponse " + quote(message[2].text));
    end_implicit();
    ready();
  }
}

void FakeBackend::on_query(const std::string& text) {
  unnamed_.reset();
  rest_.clear();
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(';', at), text.size());
    std::string one = text.substr(at, end - at);
    one.erase(0, one.find_first_not_of(' '));
    if (!one.empty()) rest_.push_back(one);
    at = end + 1;
  }
  for (const std::string& one : rest_) {
    if (one.starts_with("syntax")) throw Failure{"42601", "syntax error at " + one};
  }
  if (rest_.empty()) put("EmptyQueryResponse");
  run_rest();
}

void FakeBackend::on_parse(const Words& message) {
  const std::string name = significant(message[1].text);
  const std::string& text = message[2].text;
  if (name.empty()) unnamed_.reset();
  if (text.starts_with("syntax")) throw Failure{"42601", "syntax error at " + text};
  check_allowed(text);
  Statement statement{text, {}};
  for (std::size_t i = 3; i < message.size(); ++i) {
    statement.types.push_back(static_cast<std::uint32_t>(std::stoul(message[i].text)));
  }
  if (name.empty()) {
    unnamed_ = std::move(statement);
  } else if (!statements_.emplace(name, std::move(statement)).second) {
    throw Failure{"42P05", "prepared statement \"" + name + "\" already exists"};
  }
  put("ParseComplete");
}

void FakeBackend::on_bind(const Words& message) {
  const std::string portal = significant(message[1].text);
  const std::string name = significant(message[2].text);
  Portal bound;
  if (name.empty()) {
    if (!unnamed_) throw Failure{"26000", "unnamed prepared statement does not exist"};
    bound.text = unnamed_->text;
  } else {
    const auto found = statements_.find(name);
    if (found == statements_.end()) {
      throw Failure{"26000", "prepared statement \"" + name + "\" does not exist"};
    }
    bound.text = found->second.text;
  }
  begin_statement(bound.text);
  check_allowed(bound.text);
  if (!portal.empty() && portals_.contains(portal)) {
    throw Failure{"42P03", "cursor \"" + portal + "\" already exists"};
  }
  for (std::size_t i = 3; i < message.size(); ++i) {
    const bool null = !message[i].quoted;
    bound.parameters.push_back(null ? std::nullopt : std::optional(message[i].text));
  }
  portals_[portal] = std::move(bound);
  put("BindComplete");
}

void FakeBackend::on_close(const Words& message) {
  const std::string name = significant(message[2].text);
  if (message[1].text == "P") {
    portals_.erase(name);
  } else if (name.empty()) {
    unnamed_.reset();
  } else {
    statements_.erase(name);
  }
  put("CloseComplete");
}

void FakeBackend::on_sync() {
  end_implicit();
  ready();
}

// Gives false for what only ends the copy as a message of its own.
bool FakeBackend::on_copy(const Words& message) {
  const std::string& name = message[0].text;
  if (name == "Flush" || name == "Sync") return true;
  extended_ = !copy_simple_;
  try {
    if (name == "CopyData") {
      const std::string data = message.size() > 1 ? message[1].text : std::string();
      if (data.starts_with("bad")) throw Failure{"22P04", "bad data: " + data};
      *copied_ += data.size();
    } else if (name == "CopyDone") {
      put("CommandComplete " + quote("COPY " + std::to_string(*copied_)));
      copied_.reset();
      if (copy_simple_) run_rest();
    } else if (name == "CopyFail") {
      throw Failure{"57014", "COPY from stdin failed: " + message[1].text};
    } else {
      throw Failure{"08P01", "unexpected message during COPY from stdin: " + name, true};
    }
  } catch (const Failure& failure) {
    fail(failure);
  }
  return true;
}

void FakeBackend::cancel(Bytes key) {
  if (key != key_ || over_) return;
  if (!sleeping_ && !copied_) return;
  ++server_.cancelled_;
  extended_ = sleeping_ ? !sleeping_simple_ : !copy_simple_;
  fail({"57014", "canceling statement due to user request"});
}

void FakeBackend::fail(const Failure& failure) {
  put("ErrorResponse " + std::string(failure.fatal ? "FATAL " : "ERROR ") + failure.sqlstate + " " +
      quote(failure.message));
  flush();
  rest_.clear();
  copied_.reset();
  sleeping_.reset();
  over_ = over_ || failure.fatal;
  if (in_block_) {
    // What the transaction had set is taken back here, down to its last savepoint.
    if (!failed_) settings_ = savepoints_.empty() ? before_ : last_savepoint_;
    failed_ = true;
    portals_.clear();
  } else {
    end_transaction(false);
  }
  if (over_) return;
  if (extended_) {
    skipping_ = true;
  } else {
    ready();
  }
}

void FakeBackend::ready() {
  // PostgreSQL's names of what it reports.
  constexpr std::pair<const char*, const char*> kReported[] = {
      {"application_name", "application_name"},
      {"client_encoding", "client_encoding"},
      {"datestyle", "DateStyle"},
      {"default_transaction_read_only", "default_transaction_read_only"},
      {"intervalstyle", "IntervalStyle"},
      {"standard_conforming_strings", "standard_conforming_strings"},
      {"timezone", "TimeZone"}};
  for (const auto& [name, reported] : kReported) {
    const auto told = reported_.find(name);
    if (told != reported_.end() && told->second == settings_[name]) continue;
    reported_[name] = settings_[name];
    put("ParameterStatus " + quote(reported) + " " + quote(settings_[name]));
  }
  if (!in_block_ && !incoming_.empty()) put(std::exchange(incoming_, {}));
  put(std::string("ReadyForQuery ") + (!in_block_ ? "I" : failed_ ? "E" : "T"));
  flush();
}

}  // namespace forebay::test
