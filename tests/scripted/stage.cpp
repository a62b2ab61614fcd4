#include "scripted/stage.hpp"

#include <algorithm>
#include <stdexcept>

#include "forebay/base/assert.hpp"

namespace forebay::test {
namespace {

constexpr int kRoundsMax = 1'000'000;
constexpr std::size_t kCancelRequestSize = 16;

bool is_pseudo(const std::string& word) {
  return word == "end" || word == "reset" || word == "nothing";
}

std::string show(bool server, const std::string& bytes) {
  if (bytes.empty()) return "nothing";
  return server ? frontend_text(bytes) : backend_text(bytes);
}

}  // namespace

Stage::Stage(const Script& script, Way way, std::optional<Failure> failure)
    : script_(script),
      named_(script.peers()),
      way_(way),
      failure_(std::move(failure)),
      world_(script.config, way.workers) {
  // The core may count on room for a CancelRequest, but not for a start-up packet.
  world_.net.window = std::max(way_.window, kCancelRequestSize);
}

std::string Stage::play() {
  try {
    for (std::size_t i = 0; i < script_.steps.size(); ++i) {
      line_ = script_.steps[i].line;
      if (failure_ && failure_->step == i && failure_->kind != Failure::Kind::half) {
        inject();
        if (!injected_) return {};
      }
      play_step(script_.steps[i], i);
    }
    if (failure_ && !injected_) return {};
    finish();
    check_next_client();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

void Stage::wrong(const std::string& what) const {
  throw std::runtime_error(script_.name + ".wire:" + std::to_string(line_) + ": " + what);
}

// ---------------------------------------------------------------- steps

void Stage::play_step(const Step& step, std::size_t index) {
  switch (step.kind) {
    case Step::Kind::login:
      on_login(step);
      return;
    case Step::Kind::send:
      if (failure_ && failure_->step == index && failure_->kind == Failure::Kind::half) {
        if (find(step.peer) == nullptr && is_server(step.peer)) return;
        Peer* peer = is_server(step.peer) ? find(step.peer) : &client(step.peer);
        if (peer->vanished || peer->off_script || peer->ended) return;
        injected_ = true;
        std::string bytes;
        for (const Words& message : step.messages) {
          if (!is_pseudo(message[0].text)) say(*peer, message, bytes);
        }
        peer->end.send(bytes.substr(0, bytes.size() / 2));
        settle();
        inject();
        return;
      }
      on_send(step);
      return;
    case Step::Kind::receive:
      on_receive(step);
      return;
    case Step::Kind::pass:
      pass(step.time);
      return;
    case Step::Kind::waiting:
      if (const auto waiting = clients_waiting(); !injected_ && waiting != step.count) {
        wrong(std::to_string(waiting) + " clients wait, not " + std::to_string(step.count));
      }
      return;
  }
}

// For a link, or for a limit of statements.
std::size_t Stage::clients_waiting() {
  std::size_t waiting = world_.counts().waiting;
  for (const auto& limit : world_.shared().statement_limits.all()) {
    waiting += limit->counts().waiting;
  }
  return waiting;
}

void Stage::on_login(const Step& step) {
  Peer& peer = client(step.peer);
  Words startup = split("Startup 3.0 user=\"u\" database=\"app\"").at(0);
  const Words& more = step.messages.at(0);
  startup.insert(startup.end(), more.begin(), more.end());
  peer.end.send(encode_startup(startup));
  settle();
  for (;;) {
    const Words message = take_backend(peer.received);
    if (message.empty()) break;
    note_received(peer, message);
    if (message[0].text == "ReadyForQuery") return;
    if (message[0].text == "ErrorResponse" && !injected_) wrong(to_string(message));
  }
  if (!injected_) wrong(step.peer + " was not let in");
  go_off_script(peer, "no login");
}

void Stage::on_send(const Step& step) {
  Peer* known = find(step.peer);
  if (known == nullptr && is_server(step.peer)) {
    if (injected_) return;
    wrong("there is no server connection " + step.peer);
  }
  Peer& peer = known == nullptr ? client(step.peer) : *known;
  if (peer.vanished || peer.off_script || peer.ended) return;
  std::string bytes;
  for (const Words& message : step.messages) say(peer, message, bytes);
  if (way_.cut > 0 && way_.cut < bytes.size()) {
    peer.end.send(bytes.substr(0, way_.cut));
    settle();
    bytes.erase(0, way_.cut);
  }
  peer.end.send(bytes);
  if (peer.ended) peer.end.end();
  settle();
}

// Appends a message to `bytes`, or does what it stands for.
void Stage::say(Peer& peer, const Words& message, std::string& bytes) {
  const std::string& name = message[0].text;
  if (name == "end") {
    peer.ended = true;
    return;
  }
  if (name == "reset") {
    peer.end.send(bytes);
    settle();
    bytes.clear();
    peer.end.reset();
    peer.vanished = true;
    return;
  }
  if (peer.server) {
    peer.responder->said(message);
    if (name == "ReadyForQuery") peer.responder->set_logged_in();
  } else if (name == "CancelRequest" && !message[1].quoted && find(message[1].text) != nullptr) {
    const Peer& target = *find(message[1].text);
    bytes += encode_startup(
        {message[0], {std::to_string(target.process_id), {}, false}, {target.key, {}, true}});
    return;
  } else {
    if (name == "Query" || name == "Sync" || name == "FunctionCall") ++peer.questions;
    if (name == "Query" && message.size() > 1) peer.texts.insert(message[1].text);
    if (name == "Parse" && message.size() > 2) peer.texts.insert(message[2].text);
    if (name.starts_with("Copy") || name == "hex" || name == "bytes") peer.copied = true;
  }
  bytes += encode(peer, message);
}

std::string Stage::encode(const Peer& peer, const Words& message) {
  return peer.server ? encode_backend(message) : encode_startup(message);
}

void Stage::on_receive(const Step& step) {
  Peer* peer = find(step.peer);
  if (peer == nullptr) {
    if (injected_) return;
    wrong("there is no " + step.peer);
  }
  if (peer->vanished || peer->off_script) return;
  const std::string before = peer->received;
  for (const Words& expected : step.messages) {
    const std::string trouble = take(*peer, expected);
    if (trouble.empty()) continue;
    if (injected_) {
      // A server answers all of it by itself; a client has got this much.
      if (peer->server) peer->received = before;
      go_off_script(*peer, trouble);
      return;
    }
    wrong(step.peer + " expects " + to_string(expected) + " but " + trouble);
  }
  if (!peer->server) return;
  for (const Words& message : step.messages) {
    if (!is_pseudo(message[0].text)) peer->responder->saw(message);
    if (message[0].text == "Startup") peer->responder->set_logged_in();
  }
}

// Takes what is expected off what was received; gives why that is not possible.
std::string Stage::take(Peer& peer, const Words& expected) {
  const std::string& word = expected[0].text;
  if (word == "end" || word == "reset") {
    if (!peer.received.empty()) return "got " + show(peer.server, peer.received);
    if (!peer.end.ended()) return "the connection is open";
    return peer.end.was_reset() == (word == "reset") ? "" : "the connection ended the other way";
  }
  if (word == "nothing") {
    if (!peer.received.empty()) return "got " + show(peer.server, peer.received);
    return peer.end.ended() ? "the connection has ended" : "";
  }
  if (!has_placeholder(expected)) {
    const std::string bytes = peer.server ? encode_startup(expected) : encode_backend(expected);
    // Of a good-bye only what fits is sent.
    const bool goodbye = peer.server && word == "Terminate" && peer.end.closed();
    if (goodbye && way_.window < bytes.size() && bytes.starts_with(peer.received)) {
      peer.received.clear();
      return {};
    }
    const std::string trouble = take_exactly(peer, bytes);
    if (trouble.empty()) note_received(peer, expected);
    return trouble;
  }
  const std::string before = peer.received;
  const Words message = peer.server ? take_frontend(peer.received) : take_backend(peer.received);
  if (!message.empty() && matches(message, expected)) {
    note_received(peer, message);
    return {};
  }
  peer.received = before;
  return "got " + show(peer.server, before);
}

std::string Stage::take_exactly(Peer& peer, const std::string& bytes) {
  if (!peer.received.starts_with(bytes)) {
    return "got " + show(peer.server, peer.received) + (peer.end.ended() ? ", and the end" : "");
  }
  peer.received.erase(0, bytes.size());
  return {};
}

void Stage::note_received(Peer& peer, const Words& message) {
  if (peer.server) return;
  if (message[0].text == "ReadyForQuery") ++peer.readies;
  if (message[0].text == "BackendKeyData") {
    peer.process_id = static_cast<std::uint32_t>(std::stoul(message[1].text));
    peer.key = message[2].text;
  }
}

// ---------------------------------------------------------------- failures

void Stage::inject() {
  Peer* peer = find(failure_->peer);
  if (peer == nullptr || peer->vanished || peer->ended || peer->end.closed()) return;
  injected_ = true;
  if (failure_->kind == Failure::Kind::end) {
    peer->ended = true;
    peer->end.end();
  } else {
    peer->vanished = true;
    peer->end.reset();
  }
  settle();
}

void Stage::go_off_script(Peer& peer, const std::string&) {
  peer.off_script = true;
  settle();
}

// ---------------------------------------------------------------- the end

void Stage::finish() {
  over_ = true;
  settle();
  for (Peer& peer : peers_) {
    if (!peer.server && !peer.vanished) check_client(peer);
    if (peer.server || peer.ended || peer.vanished) continue;
    peer.ended = true;
    peer.end.end();
  }
  pass(std::chrono::seconds(70));
  for (Peer& peer : peers_) {
    if (!peer.server && !peer.end.closed()) wrong(peer.name + " said its end, and is not let go");
  }
}

// What a client got beyond what is written must make sense by itself.
void Stage::check_client(Peer& peer) {
  if (!injected_ && !peer.received.empty()) {
    wrong(peer.name + " got what is not written: " + show(false, peer.received));
  }
  std::size_t fatal = 0;
  const std::string all = show(false, peer.received);
  for (;;) {
    const Words message = take_backend(peer.received);
    if (message.empty()) break;
    note_received(peer, message);
    const std::string& name = message[0].text;
    if (fatal > 0) wrong(peer.name + " got something behind a fatal error: " + all);
    if (name == "hex") wrong(peer.name + " got what is no message: " + all);
    if (name == "ErrorResponse" && message.size() > 1 && message[1].text == "FATAL") ++fatal;
    // A server that takes over knows no portal of the one before, and shared names as its own.
    const bool echo = name == "CommandComplete" && message[1].text.starts_with("echo ");
    const std::string text = echo ? message[1].text.substr(5) : std::string();
    if (!text.empty() && text.find("_forebay_") == std::string::npos &&
        !peer.texts.contains(text)) {
      wrong(peer.name + " got what was not its own: " + all);
    }
  }
  if (!peer.received.empty() && !peer.end.was_reset()) {
    wrong(peer.name + " got half a message: " + all);
  }
  const bool gone = peer.end.ended();
  if (!injected_ || gone || peer.copied || peer.ended) return;
  if (peer.readies < peer.questions) wrong(peer.name + " is left without an answer: " + all);
}

void Stage::check_next_client() {
  line_ = 0;
  if (world_.leaks() != "") wrong("left: " + world_.leaks());
  Peer& next = client("next");
  next.end.send(encode_startup(split("Startup 3.0 user=\"u\" database=\"app\"").at(0)));
  pass(std::chrono::seconds(30));
  next.received.clear();
  next.end.send(frontend("Query \"next\""));
  settle();
  const std::string wanted = "CommandComplete \"echo next\" ; ReadyForQuery I";
  if (const std::string got = show(false, next.received); got != wanted) {
    wrong("the next client got " + got);
  }
  next.end.send(frontend("Terminate"));
  next.end.end();
  pass(std::chrono::seconds(10));
  if (world_.leaks() != "") wrong("left after the next client: " + world_.leaks());
}

// ---------------------------------------------------------------- the world

Stage::Peer* Stage::find(const std::string& name) {
  const auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const Peer& peer) { return peer.name == name; });
  return found == peers_.end() ? nullptr : &*found;
}

Stage::Peer& Stage::client(const std::string& name) {
  if (Peer* known = find(name)) return *known;
  Peer& peer = peers_.emplace_back();
  peer.name = name;
  peer.end = world_.connect(clients_++ % way_.workers);
  peer.end.channel().window = way_.window;
  return peer;
}

void Stage::settle() {
  for (int round = 0; deliver() || read() || servers(); ++round) FB_ASSERT(round < kRoundsMax);
}

bool Stage::deliver() {
  bool any = false;
  for (std::size_t i = 0; i < world_.workers(); ++i) {
    if (world_.letters(i) == 0 && world_.io(i).ready().empty()) continue;
    any = true;
    bool first = true;
    world_.turn(i, [&](const std::vector<MemoryIo::Ready>& ready) -> std::optional<World::Pick> {
      if (ready.empty() || (!first && way_.most != SIZE_MAX)) return std::nullopt;
      first = false;
      return World::Pick{ready.front(), way_.most};
    });
  }
  while (!world_.accepted.empty()) {
    Peer& peer = peers_.emplace_back();
    peer.server = true;
    peer.name = "S" + std::to_string(++servers_);
    peer.in_script = std::find(named_.begin(), named_.end(), peer.name) != named_.end();
    peer.end = world_.accepted.front();
    peer.responder = std::make_unique<Responder>(servers_);
    world_.accepted.pop_front();
  }
  return any;
}

// Takes what has come out of the core.
bool Stage::read() {
  bool any = false;
  for (Peer& peer : peers_) {
    const std::string bytes = peer.end.read();
    if (!bytes.empty() && !peer.vanished) peer.end.channel().window = way_.window;
    peer.received += bytes;
    any = any || !bytes.empty();
  }
  return any;
}

// Server connections answer by themselves where the script does not speak for them.
bool Stage::servers() {
  bool any = false;
  for (Peer& peer : peers_) {
    if (!peer.server || peer.vanished || peer.ended) continue;
    const bool alone = over_ || peer.off_script || (injected_ && !peer.in_script);
    std::string out;
    if (alone) {
      out = peer.responder->answer(peer.received);
    } else if (!script_.scripted_logins) {
      out = peer.responder->log_in(peer.received);
    }
    if (peer.responder->over() || (alone && peer.end.ended())) {
      peer.ended = true;
      peer.end.end();
      any = true;
    }
    if (out.empty()) continue;
    peer.end.send(out);
    any = true;
  }
  return any;
}

void Stage::pass(Duration duration) {
  const Instant until = world_.now + duration;
  for (;;) {
    settle();
    const Instant due = world_.next_deadline();
    if (due > until) break;
    world_.now = std::max(world_.now, due);
    for (std::size_t i = 0; i < world_.workers(); ++i) {
      world_.turn(i, [](const auto&) { return std::nullopt; });
    }
  }
  world_.now = until;
  settle();
}

}  // namespace forebay::test
