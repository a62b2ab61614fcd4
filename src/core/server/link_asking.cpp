#include <algorithm>
#include <chrono>

#include "core/engine/engine.hpp"
#include "core/server/server_link.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// What a link asks the catalog for everybody, while it is nobody's: which code changes sessions.

namespace forebay::core {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

/// The server itself ends the question sooner.
constexpr milliseconds kPatience{4000};
/// Somebody may wait for the link.
constexpr milliseconds kOpeningPatience{2000};

}  // namespace

// Whether the server is one whose catalog can be asked: it says at login what PostgreSQL does.
bool ServerLink::has_catalog() const {
  constexpr Bytes kReported[] = {"IntervalStyle",         "TimeZone",
                                 "integer_datetimes",     "is_superuser",
                                 "session_authorization", "standard_conforming_strings"};
  return std::ranges::all_of(kReported,
                             [&](Bytes name) { return relay_.reported.find(name) != nullptr; });
}

// True: whoever has the link has it when the answer is there.
bool ServerLink::ask_effects() {
  SideEffects& effects = relay_.catalog->effects;
  if (!follows_effects_ || !effects.may_be_due(engine_->now(), relay_.catalog->now())) return false;
  const bool is_new = phase_ == Phase::opening;
  if (relay_.poisoned || ended_ || outdated_ || !unsent_.empty()) return false;
  // A client that answers the server for itself cannot do so twice.
  if (is_new ? relayed_ || !effects.unasked() : !relay_.at_rest()) return false;
  if (!effects.claim(engine_->now(), relay_.catalog->now())) return false;
  question_ = std::make_unique<EffectsQuestion>(engine_->now());
  if (!is_new) {
    enter(Phase::asking);
    client_ = nullptr;
  }
  engine_->timers().arm(timer_, engine_->now() + (is_new ? kOpeningPatience : kPatience));
  pg::write_query(engine_->to_server().insert(), EffectsQuestion::text());
  send(engine_->to_server());
  return true;
}

// The link goes, which says nothing about the catalog.
void ServerLink::drop_question() {
  if (question_ == nullptr) return;
  question_.reset();
  relay_.catalog->effects.abandoned(engine_->now());
}

// There will be no answer.
void ServerLink::fail_question(const std::string& why) {
  if (question_ == nullptr) return;
  const std::unique_ptr<EffectsQuestion> question = std::move(question_);
  effects_unknown(*question, why);
}

void ServerLink::effects_unknown(const EffectsQuestion& question, const std::string& why) {
  const Instant now = engine_->now();
  const auto took = duration_cast<milliseconds>(now - question.asked());
  if (!relay_.catalog->effects.failed(now, took)) return;
  engine_->note({.weight = Weight::warning,
                 .event = "effects_unknown",
                 .text = "cannot ask the catalog which functions change sessions (" + why +
                         "): only what statements show is followed",
                 .database = pool_->key().database,
                 .user = pool_->key().user,
                 .host = to_string(host_)});
}

// The login is made once more, without the question: nobody is to hear of it. False where there was
// none.
bool ServerLink::open_unasked(const std::string& why) {
  if (question_ == nullptr || phase_ != Phase::opening || fenced()) return false;
  fail_question(why);
  engine_->counters().links_closed.add();
  host_place_.leave();
  stream_.reset();
  received_.clear(engine_->buffers());
  unsent_.clear(engine_->buffers());
  connect();
  return true;
}

void ServerLink::question_received(Bytes bytes) {
  received_.append(engine_->buffers(), bytes);
  std::size_t consumed = 0;
  const auto heard = question_->hear(received_.view(), consumed, relay_.reported);
  received_.consume(engine_->buffers(), consumed);
  if (heard == EffectsQuestion::Heard::more) return;
  if (heard == EffectsQuestion::Heard::broken) {
    on_lost("the server broke the protocol");
    return;
  }
  timer_.cancel();
  const std::unique_ptr<EffectsQuestion> question = std::move(question_);
  if (question->error().empty()) {
    const Instant now = engine_->now();
    const auto took = duration_cast<milliseconds>(now - question->asked());
    relay_.catalog->asks_sequences.store(question->asks_sequences(), std::memory_order_relaxed);
    relay_.catalog->effects.answered(question->take(), now, took);
  } else {
    effects_unknown(*question, question->error());
  }
  relay_.unnamed_owner = 0;  // as after every Query
  if (phase_ == Phase::opening) {
    in_use();
  } else {
    engine_->release(*this);
  }
}

}  // namespace forebay::core
