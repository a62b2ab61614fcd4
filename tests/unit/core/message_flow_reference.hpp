#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/relay/expected_replies.hpp"

namespace forebay::core {

/// What a client sends, as far as the flow of answers goes.
enum class Act : std::uint8_t {
  query,
  copy_query,
  parse,
  bind,
  describe_statement,
  describe_portal,
  execute,
  copy_execute,
  close,
  sync,
  function_call,
  copy_data,
  copy_done,
  copy_fail,
  supplied,  ///< never sent: we answer for it
};

/// How it ended for a request.
enum class Fate : std::uint8_t { open, answered, failed, skipped, swallowed };

/// A server that goes through a client's messages as the manual's "Message Flow" says: written from
/// the server's side, one message after another, with nothing of the queue that it checks.
class MessageFlow {
 public:
  struct Answer {
    pg::Backend type;
    std::size_t request;  ///< whose answer this is
  };

  explicit MessageFlow(std::uint64_t seed) : random_(seed) {}

  /// The next request; its number counts from 0.
  void send(Act act) {
    fates_.push_back(Fate::open);
    acts_.push_back(act);
    in_.push_back(acts_.size() - 1);
  }
  /// The server handles the next message.
  bool step();
  [[nodiscard]] bool has_answer() const { return !out_.empty(); }
  Answer take_answer() {
    const Answer answer = out_.front();
    out_.pop_front();
    return answer;
  }

  [[nodiscard]] Fate fate(std::size_t request) const { return fates_[request]; }
  [[nodiscard]] Act act(std::size_t request) const { return acts_[request]; }
  [[nodiscard]] std::size_t requests() const { return acts_.size(); }
  [[nodiscard]] bool copying() const { return copying_; }
  /// Errors come so often, in a thousand.
  int error_rate = 80;

 private:
  bool chance(int in_thousand) { return static_cast<int>(random_() % 1000) < in_thousand; }
  void answer(pg::Backend type, std::size_t request) { out_.push_back({type, request}); }
  void fail(std::size_t request, bool simple);
  void on_query(std::size_t request);
  void on_execute(std::size_t request);
  void on_extended(std::size_t request, pg::Backend type);
  void on_copy(std::size_t request);
  void begin_copy(std::size_t request, bool simple);
  void end_query(std::size_t request) {
    answer(pg::Backend::ReadyForQuery, request);
    fates_[request] = Fate::answered;
  }

  std::mt19937_64 random_;
  std::vector<Act> acts_;
  std::vector<Fate> fates_;
  std::deque<std::size_t> in_;
  std::deque<Answer> out_;
  bool skipping_ = false;
  bool copying_ = false;
  bool copy_simple_ = false;
  std::size_t copy_request_ = 0;
};

inline bool MessageFlow::step() {
  if (in_.empty()) return false;
  const std::size_t request = in_.front();
  in_.pop_front();
  const Act act = acts_[request];
  if (copying_) {
    on_copy(request);
    return true;
  }
  if (act == Act::copy_data || act == Act::copy_done || act == Act::copy_fail) return true;
  if (act == Act::sync) skipping_ = false;
  if (skipping_) {
    fates_[request] = Fate::skipped;
    return true;
  }
  switch (act) {
    case Act::query:
    case Act::copy_query:
      on_query(request);
      break;
    case Act::function_call:
      if (chance(error_rate)) {
        fail(request, true);
        break;
      }
      answer(pg::Backend::FunctionCallResponse, request);
      end_query(request);
      break;
    case Act::sync:
      // What is deferred may still fail.
      if (chance(error_rate / 4)) answer(pg::Backend::ErrorResponse, request);
      end_query(request);
      break;
    case Act::execute:
    case Act::copy_execute:
      on_execute(request);
      break;
    case Act::parse:
      on_extended(request, pg::Backend::ParseComplete);
      break;
    case Act::bind:
      on_extended(request, pg::Backend::BindComplete);
      break;
    case Act::close:
      on_extended(request, pg::Backend::CloseComplete);
      break;
    case Act::describe_statement:
      if (!chance(error_rate)) {
        answer(pg::Backend::ParameterDescription, request);
        answer(chance(500) ? pg::Backend::RowDescription : pg::Backend::NoData, request);
        fates_[request] = Fate::answered;
      } else {
        fail(request, false);
      }
      break;
    case Act::describe_portal:
      on_extended(request, chance(500) ? pg::Backend::RowDescription : pg::Backend::NoData);
      break;
    case Act::supplied:
      fates_[request] = Fate::answered;
      break;
    default:
      break;
  }
  return true;
}

inline void MessageFlow::on_extended(std::size_t request, pg::Backend type) {
  if (chance(error_rate)) {
    fail(request, false);
    return;
  }
  answer(type, request);
  fates_[request] = Fate::answered;
}

inline void MessageFlow::fail(std::size_t request, bool simple) {
  answer(pg::Backend::ErrorResponse, request);
  if (simple) {
    end_query(request);
  } else {
    fates_[request] = Fate::failed;
    skipping_ = true;
  }
}

inline void MessageFlow::on_query(std::size_t request) {
  for (std::size_t statements = random_() % 3; statements > 0; --statements) {
    if (chance(error_rate)) {
      fail(request, true);
      return;
    }
    if (chance(200)) {
      answer(pg::Backend::CopyOutResponse, request);
      answer(pg::Backend::CopyData, request);
      answer(pg::Backend::CopyDone, request);
    } else if (chance(500)) {
      answer(pg::Backend::RowDescription, request);
      answer(pg::Backend::DataRow, request);
    }
    answer(pg::Backend::CommandComplete, request);
  }
  if (acts_[request] == Act::copy_query) {
    begin_copy(request, true);
    return;
  }
  if (chance(100)) answer(pg::Backend::EmptyQueryResponse, request);
  end_query(request);
}

inline void MessageFlow::on_execute(std::size_t request) {
  if (chance(error_rate)) {
    fail(request, false);
  } else if (acts_[request] == Act::copy_execute) {
    begin_copy(request, false);
  } else {
    for (std::size_t rows = random_() % 3; rows > 0; --rows) answer(pg::Backend::DataRow, request);
    constexpr pg::Backend kEnds[] = {pg::Backend::CommandComplete, pg::Backend::PortalSuspended,
                                     pg::Backend::EmptyQueryResponse};
    answer(kEnds[random_() % 3], request);
    fates_[request] = Fate::answered;
  }
}

inline void MessageFlow::begin_copy(std::size_t request, bool simple) {
  answer(pg::Backend::CopyInResponse, request);
  copying_ = true;
  copy_simple_ = simple;
  copy_request_ = request;
  // A trigger may fail before any data is read.
  if (!chance(error_rate)) return;
  copying_ = false;
  fail(request, simple);
}

// In COPY FROM: Sync is ignored, anything that is no part of it ends it with an error, and is lost.
inline void MessageFlow::on_copy(std::size_t request) {
  switch (acts_[request]) {
    case Act::sync:
      fates_[request] = Fate::swallowed;
      return;
    case Act::copy_data:
      if (!chance(error_rate)) return;
      break;
    case Act::copy_done:
      copying_ = false;
      answer(pg::Backend::CommandComplete, copy_request_);
      if (copy_simple_) {
        end_query(copy_request_);
      } else {
        fates_[copy_request_] = Fate::answered;
      }
      return;
    case Act::copy_fail:
      break;
    default:
      fates_[request] = Fate::skipped;
      break;
  }
  copying_ = false;
  fail(copy_request_, copy_simple_);
}

}  // namespace forebay::core
