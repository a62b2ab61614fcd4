#include "scripted/responder.hpp"

#include <utility>

namespace forebay::test {
namespace {

bool begins(const std::string& text, const std::string& word) {
  if (text.size() < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(text[i])) != word[i]) return false;
  }
  return true;
}

}  // namespace

Responder::Responder(std::size_t number) : process_id_(static_cast<std::uint32_t>(1000 + number)) {
  const std::string digits = std::to_string(number);
  key_ = std::string("key0").substr(0, 4 - digits.size()) + digits;
}

std::string Responder::log_in(std::string& received) {
  std::string out;
  while (!logged_in_) {
    std::string rest = received;
    const Words packet = take_startup(rest);
    if (packet.empty() || packet[0].text == "CancelRequest") return out;
    received = std::move(rest);
    if (packet[0].text != "Startup") {
      out += "N";
      continue;
    }
    logged_in_ = true;
    out += backend(
        "AuthenticationOk ; ParameterStatus \"server_version\" \"15.0\" ; "
        "ParameterStatus \"client_encoding\" \"UTF8\"");
    out += backend("BackendKeyData " + std::to_string(process_id_) + " " + quote(key_));
    out += backend("ReadyForQuery I");
  }
  return out;
}

std::string Responder::answer(std::string& received) {
  out_ = log_in(received);
  if (!logged_in_) {
    if (!take_startup(received).empty()) over_ = true;
    return std::move(out_);
  }
  if (!std::exchange(alone_, true)) take_over();
  while (!over_) {
    const Words message = take_frontend(received);
    if (message.empty()) break;
    respond(message);
  }
  return std::move(out_);
}

// What the script left unanswered fails, but for what an unfinished copy still waits for.
void Responder::take_over() {
  for (; owed_ > (copy_ == Copy::none ? 0 : 1); --owed_) {
    if (!std::exchange(failed_, false)) put("ErrorResponse ERROR 57014 \"the script is over\"");
    if (status_ == "T") status_ = "E";
    ready();
  }
  owed_ = 0;
}

void Responder::saw(const Words& message) {
  const std::string& name = message[0].text;
  if (name == "Sync") skipping_ = false;
  if (name == "Query") statements_.erase("");
  if (name == "Close" && message[1].text == "S") statements_.erase(message[2].text);
  if (name == "Parse") statements_[message[1].text] = message[2].text;
  if (name == "Bind") portals_[message[1].text] = message[2].text;
  if (name == "CopyDone" || name == "CopyFail") copy_ = Copy::none;
  if (name == "CopyData" || name == "CopyDone" || name == "CopyFail" || name == "Flush") return;
  if (name == "Query" || name == "FunctionCall" || name == "Sync") ++owed_;
  extended_ = name != "Query" && name != "FunctionCall" && name != "Sync";
}

void Responder::said(const Words& message) {
  const std::string& name = message[0].text;
  if (name == "ReadyForQuery") {
    status_ = message[1].text;
    owed_ -= owed_ > 0 ? 1 : 0;
    failed_ = false;
  }
  if (name == "CopyInResponse") copy_ = extended_ ? Copy::extended : Copy::simple;
  if (name == "ErrorResponse") {
    copy_ = Copy::none;
    failed_ = true;
    skipping_ = extended_;
  }
}

void Responder::respond(const Words& message) {
  const std::string& name = message[0].text;
  if (copy_ != Copy::none) {
    on_copy(name);
    return;
  }
  if (name == "Sync") skipping_ = false;
  if (skipping_) return;
  if (name != "CopyData") saw(message);
  if (name == "Terminate") over_ = true;
  if (name == "Query") on_query(message[1].text);
  const bool names_statement = name == "Bind" || (name == "Describe" && message[1].text == "S");
  if (names_statement && !statements_.contains(message[2].text)) {
    put("ErrorResponse ERROR 26000 \"no such statement\"");
    if (status_ == "T") status_ = "E";
    skipping_ = true;
    return;
  }
  if (name == "Parse") put("ParseComplete");
  if (name == "Bind") put("BindComplete");
  if (name == "Close") put("CloseComplete");
  if (name == "Describe" && message[1].text == "S") put("ParameterDescription");
  if (name == "Describe") put("NoData");
  if (name == "Execute") put(command(statements_[portals_[message[1].text]]));
  if (name == "FunctionCall") put("FunctionCallResponse null");
  if (name == "FunctionCall" || name == "Sync") ready();
}

void Responder::on_query(const std::string& text) {
  if (text == "refused_by_forebay") {  // no SQL, as it is meant to be
    put("ErrorResponse ERROR 42601 \"syntax error\"");
    if (status_ == "T") status_ = "E";
  } else {
    put(text.empty() ? "EmptyQueryResponse" : command(text));
  }
  ready();
}

std::string Responder::command(const std::string& text) {
  if (begins(text, "begin")) status_ = "T";
  if (begins(text, "commit") || begins(text, "rollback")) status_ = "I";
  if (begins(text, "discard all")) statements_.clear();
  return "CommandComplete " + quote(tag(text));
}

void Responder::on_copy(const std::string& name) {
  if (name == "CopyData" || name == "Flush" || name == "Sync") return;
  const bool simple = copy_ == Copy::simple;
  copy_ = Copy::none;
  if (name == "CopyDone") {
    put("CommandComplete \"COPY 0\"");
  } else {
    put("ErrorResponse ERROR 57014 \"COPY from stdin failed\"");
    skipping_ = !simple;
    if (status_ == "T") status_ = "E";
  }
  if (simple) ready();
}

}  // namespace forebay::test
