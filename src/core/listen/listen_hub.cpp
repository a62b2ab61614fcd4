#include "core/listen/listen_hub.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/engine/engine.hpp"
#include "core/pool/pool.hpp"
#include "core/relay/listening.hpp"
#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

using std::chrono::milliseconds;

/// An answer takes so long at most: more, and the connection is given up.
constexpr milliseconds kPatience{5000};
/// A connection that has been silent for so long is asked whether it lives.
constexpr milliseconds kSilence{10'000};
/// One that nobody needs is closed after so long.
constexpr milliseconds kUnused{10'000};
/// Between two attempts, doubled with each up to the longest.
constexpr milliseconds kRetryFirst{100};
constexpr milliseconds kRetryLongest{3200};
/// Of so many pools it knows what to log in with.
constexpr std::size_t kPoolsMax = 8;
/// A text of LISTENs is not longer.
constexpr std::size_t kStatementMax = 32 * 1024;

std::string quoted(std::string_view channel) {
  std::string text = "\"";
  for (const char c : channel) {
    if (c == '"') text += c;
    text += c;
  }
  return text + '"';
}

}  // namespace

// ---------------------------------------------------------------- what sessions want

void ListenHub::ask(mail::ListenAsked& asked) {
  unused_since_ = engine_.now();
  if (std::find(pools_.begin(), pools_.end(), asked.pool) == pools_.end()) {
    // Who asks has a server connection just now: a good one to log in with.
    const bool used = connection_.logged_in() || connection_.opening();
    pools_.insert(used ? pools_.end() : pools_.begin(), asked.pool);
    if (pools_.size() > kPoolsMax) pools_.erase(pools_.begin() + 1);
  }
  asked_.push_back(std::move(asked));
  // One that is lost is not waited for beyond this attempt.
  if (connection_.logged_in() || connection_.opening() || open()) {
    put();
  } else {
    failed("no server to listen at");
  }
}

void ListenHub::leave(const mail::ListenLeft& left) {
  unused_since_ = engine_.now();
  const std::set<std::string_view> names(left.channels.begin(), left.channels.end());
  for (auto* questions : {&asking_, &asked_}) {
    for (mail::ListenAsked& question : *questions) {
      if (question.session != left.session) continue;
      std::erase_if(question.channels,
                    [&](const std::string& name) { return names.contains(name); });
    }
  }
  for (const std::string& name : left.channels) {
    const auto found = channels_.find(name);
    if (found == channels_.end()) continue;
    remove(found->second, left.session);
    if (found->second.listeners.empty()) changed_.insert(name);
  }
  put();
}

bool ListenHub::idle() const {
  return channels_.empty() && asked_.empty() && asking_.empty() &&
         engine_.now() - unused_since_ >= kUnused;
}

void ListenHub::add(Channel& channel, SessionKey session) {
  Keys& keys = channel.listeners[session.worker.value()];
  auto more = keys == nullptr ? std::vector<SessionKey>() : *keys;
  if (std::find(more.begin(), more.end(), session) == more.end()) more.push_back(session);
  keys = std::make_shared<const std::vector<SessionKey>>(std::move(more));
}

void ListenHub::remove(Channel& channel, SessionKey session) {
  const auto found = channel.listeners.find(session.worker.value());
  if (found == channel.listeners.end()) return;
  auto fewer = *found->second;
  std::erase(fewer, session);
  if (fewer.empty()) {
    channel.listeners.erase(found);
  } else {
    found->second = std::make_shared<const std::vector<SessionKey>>(std::move(fewer));
  }
}

void ListenHub::answer(const SessionKey& session, bool listening) {
  engine_.shared().courier->send(session.worker, mail::ListenAnswered{session, listening});
}

// ---------------------------------------------------------------- the connection

// Where to listen: at the primary, until its last transaction is over. Nothing while nobody knows
// which that is.
std::optional<std::size_t> ListenHub::host_now(const PoolTarget& target) const {
  if (target.cluster == nullptr) return 0;
  const auto view = target.cluster->view();
  if (!view->watched) return std::nullopt;
  return view->leaving ? view->primary : view->writable(engine_.now());
}

// False when that cannot be tried.
bool ListenHub::open() {
  const PoolTarget& target = pool().target();
  const auto host = host_now(target);
  auto credential = pool().credential();
  if (!host || !credential || pool().paused()) return false;
  host_ = target.hosts[*host];
  cluster_ = target.cluster;
  fence_ = cluster_ == nullptr ? nullptr : &cluster_->fence(*host);
  fence_seen_ = fence_ == nullptr ? 0 : fence_->load(std::memory_order_acquire);
  engine_.timers().arm(timer_, engine_.now() + kPatience);
  SideConnection::Target to = SideConnection::target_at(target, host_, pool().key().user);
  to.credential = std::move(*credential);
  to.parameters = {{"application_name", "forebay listen"}};
  connection_.open(std::move(to));
  return true;
}

void ListenHub::look() {
  if (!connection_.logged_in() && !connection_.opening()) return;
  const PoolTarget& target = pool().target();
  const auto host = host_now(target);
  const bool fenced = fence_ != nullptr && fence_->load(std::memory_order_acquire) != fence_seen_;
  if (fenced || !host || target.hosts[*host] != host_) {
    lose("it is not the primary any more");
  } else if (pool().paused()) {
    lose("the database is paused");
  } else if (channels_.empty() && idle()) {
    connection_.close();
    timer_.cancel();
    known_ = false;
  }
}

void ListenHub::on_logged_in() {
  busy_ = false;
  engine_.timers().arm(timer_, engine_.now() + kSilence);
  for (auto& [name, channel] : channels_) {
    channel.listened = false;
    changed_.insert(name);
  }
  put();
}

void ListenHub::host_moved(const std::string& host, const std::vector<std::string>& addresses) {
  if (host_.host == host && connection_.leads_elsewhere(addresses)) {
    lose("the host's name has other addresses now");
  }
}

void ListenHub::lose(const std::string& why) {
  const std::string kept = why;  // it may stand in what the server said
  connection_.close();
  failed(kept);
}

void ListenHub::failed(const std::string& why) {
  busy_ = false;
  std::rotate(pools_.begin(), pools_.begin() + 1, pools_.end());  // another may be let in
  const bool was_known = std::exchange(known_, false);
  lost_ = lost_ || was_known;
  if (was_known) {
    engine_.counters().listening_lost.add();
    engine_.note({.weight = Weight::warning,
                  .event = "listening_connection_lost",
                  .text = why,
                  .database = pool().key().database,
                  .host = to_string(host_)});
  }
  for (auto* questions : {&asking_, &asked_}) {
    for (const mail::ListenAsked& question : std::exchange(*questions, {})) {
      for (const std::string& name : question.channels) {
        // Those of before stay: they are listened to again.
        const auto found = channels_.find(name);
        if (found == channels_.end()) continue;
        remove(found->second, question.session);
      }
      answer(question.session, false);
    }
  }
  std::erase_if(channels_, [](const auto& entry) { return entry.second.listeners.empty(); });
  changed_.clear();
  told_.clear();
  if (channels_.empty()) {
    lost_ = false;
    failures_ = 0;
    timer_.cancel();
    return;
  }
  const milliseconds pause = std::min(kRetryFirst * (1 << std::min(failures_, 5u)), kRetryLongest);
  ++failures_;
  engine_.timers().arm(timer_, engine_.now() + pause);
}

void ListenHub::on_timer(void* self) {
  auto& hub = *static_cast<ListenHub*>(self);
  if (hub.connection_.opening() || hub.busy_) {
    hub.lose("no answer within 5 s");
  } else if (hub.connection_.logged_in()) {
    hub.put_question({});  // silent for long: does it live?
  } else if (!hub.open()) {
    hub.failed("no server to listen at");
  }
}

// ---------------------------------------------------------------- question and answer

// Says what is to be said to the server, if it has answered what was said before.
void ListenHub::put() {
  if (busy_ || !connection_.logged_in()) return;
  std::string text;
  for (mail::ListenAsked& question : std::exchange(asked_, {})) {
    if (!question.channels.empty() && !encoding_fits(question.encoding)) {
      answer(question.session, false);
      continue;
    }
    for (const std::string& name : question.channels) {
      Channel& channel = channels_[name];
      add(channel, question.session);
      if (!channel.listened) changed_.insert(name);
    }
    // Even if it listens already: what was committed before is not the session's to hear.
    asking_.push_back(std::move(question));
  }
  for (auto name = changed_.begin(); name != changed_.end() && text.size() < kStatementMax;) {
    const auto found = channels_.find(*name);
    const bool wanted = found != channels_.end() && !found->second.listeners.empty();
    text += (wanted ? "LISTEN " : "UNLISTEN ") + quoted(*name) + ";";
    if (found != channels_.end() && !wanted) channels_.erase(found);
    if (wanted) told_.push_back(*name);
    name = changed_.erase(name);
  }
  if (!text.empty() || !asking_.empty()) put_question(text);
}

void ListenHub::put_question(const std::string& text) {
  busy_ = true;
  error_.clear();
  engine_.timers().arm(timer_, engine_.now() + kPatience);
  std::string out;
  pg::write_query(out, text);
  connection_.send(out);
}

void ListenHub::on_said(char type, Bytes body) {
  switch (type) {
    case 'A':
      notify(body);
      return;
    case 'E':
      error_.assign(pg::backend::Fields::parse(body).message);
      return;
    case 'Z':
      answered();
      return;
    default:
      return;
  }
}

void ListenHub::answered() {
  busy_ = false;
  if (!error_.empty()) {
    // A standby, a name that its encoding does not have: whoever asked finds out for itself.
    lose(error_);
    return;
  }
  failures_ = 0;
  for (const std::string& name : std::exchange(told_, {})) {
    if (const auto found = channels_.find(name); found != channels_.end()) {
      found->second.listened = true;
    }
  }
  // Not all of it may have fitted one text.
  std::erase_if(asking_, [this](const mail::ListenAsked& question) {
    const bool all = listens_to(question);
    if (all) answer(question.session, true);
    return all;
  });
  known_ = !channels_.empty();
  if (known_ && changed_.empty() && std::exchange(lost_, false)) tell_restored();
  engine_.timers().arm(timer_, engine_.now() + kSilence);
  put();
}

bool ListenHub::listens_to(const mail::ListenAsked& question) const {
  return std::all_of(question.channels.begin(), question.channels.end(), [this](const auto& name) {
    const auto found = channels_.find(name);
    return found != channels_.end() && found->second.listened;
  });
}

// What the server says it says in this connection's encoding: the default of the database, mostly.
bool ListenHub::encoding_fits(const std::string& encoding) const {
  const std::string* own = connection_.welcome().find(kClientEncoding);
  return own != nullptr && same_encoding(*own, encoding);
}

// ---------------------------------------------------------------- what is heard

void ListenHub::notify(Bytes body) {
  const auto told = pg::backend::NotificationResponse::parse(body);
  if (!told) return;
  const auto found = channels_.find(std::string(told->channel));
  if (found == channels_.end()) return;
  const std::uint32_t sender = pool().catalog().notifiers.client_of(told->process_id);
  const auto notification = std::make_shared<const Notification>(
      Notification{sender == 0 ? told->process_id : sender, told->process_id,
                   std::string(told->channel), std::string(told->payload)});
  for (const auto& [worker, sessions] : found->second.listeners) {
    engine_.shared().courier->send(WorkerId(worker), mail::Notified{notification, sessions});
  }
}

void ListenHub::tell_restored() {
  std::map<std::uint16_t, std::set<SessionKey>> all;
  for (const auto& [name, channel] : channels_) {
    for (const auto& [worker, sessions] : channel.listeners) {
      all[worker].insert(sessions->begin(), sessions->end());
    }
  }
  engine_.note({.weight = Weight::normal,
                .event = "listening_connection_restored",
                .text = "its listeners are told that they may have missed notifications",
                .database = pool().key().database,
                .host = to_string(host_)});
  for (const auto& [worker, sessions] : all) {
    engine_.shared().courier->send(
        WorkerId(worker), mail::ListeningRestored{std::make_shared<const std::vector<SessionKey>>(
                              sessions.begin(), sessions.end())});
  }
}

// ---------------------------------------------------------------- all of them

void ListenHubs::ask(mail::ListenAsked& asked) {
  auto& hub = hubs_[&asked.pool->catalog()];
  if (hub == nullptr) hub = std::make_unique<ListenHub>(engine_);
  hub->ask(asked);
}

void ListenHubs::leave(const mail::ListenLeft& left) {
  const auto found = hubs_.find(&left.pool->catalog());
  if (found != hubs_.end()) found->second->leave(left);
}

void ListenHubs::host_moved(const std::string& host, const std::vector<std::string>& addresses) {
  for (const auto& [catalog, hub] : hubs_) hub->host_moved(host, addresses);
}

void ListenHubs::look() {
  for (const auto& [catalog, hub] : hubs_) hub->look();
  std::erase_if(hubs_, [](const auto& entry) { return entry.second->idle(); });
}

}  // namespace forebay::core
