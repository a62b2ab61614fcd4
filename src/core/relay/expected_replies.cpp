#include "core/relay/expected_replies.hpp"

#include <utility>

#include "forebay/base/assert.hpp"

namespace forebay::core {
namespace {

enum class Step : std::uint8_t { wrong, part, done };

bool is_copy(pg::Backend type) {
  switch (type) {
    case pg::Backend::CopyInResponse:
    case pg::Backend::CopyOutResponse:
    case pg::Backend::CopyBothResponse:
    case pg::Backend::CopyData:
    case pg::Backend::CopyDone:
      return true;
    default:
      return false;
  }
}

Step step_of_query(pg::Backend type) {
  switch (type) {
    case pg::Backend::RowDescription:
    case pg::Backend::DataRow:
    case pg::Backend::CommandComplete:
    case pg::Backend::EmptyQueryResponse:
      return Step::part;
    default:
      return is_copy(type) ? Step::part : Step::wrong;
  }
}

Step step_of_execute(pg::Backend type) {
  switch (type) {
    case pg::Backend::DataRow:
      return Step::part;
    case pg::Backend::CommandComplete:
    case pg::Backend::EmptyQueryResponse:
    case pg::Backend::PortalSuspended:
      return Step::done;
    default:
      return is_copy(type) ? Step::part : Step::wrong;
  }
}

Step step_of_describe(Request request, pg::Backend type) {
  if (type == pg::Backend::ParameterDescription && request == Request::describe_statement) {
    return Step::part;
  }
  if (type == pg::Backend::RowDescription || type == pg::Backend::NoData) return Step::done;
  return Step::wrong;
}

bool closes(const Expected& expected) {
  return expected.change != nullptr && expected.change->kind == NameChange::Kind::client_close;
}

// What a message other than ErrorResponse does to the reply at the head.
Step step_of(Request request, pg::Backend type) {
  if (ends_with_ready(request) && type == pg::Backend::ReadyForQuery) return Step::done;
  switch (request) {
    case Request::query:
      return step_of_query(type);
    case Request::execute:
      return step_of_execute(type);
    case Request::describe_statement:
    case Request::describe_portal:
      return step_of_describe(request, type);
    case Request::parse:
      return type == pg::Backend::ParseComplete ? Step::done : Step::wrong;
    case Request::bind:
      return type == pg::Backend::BindComplete ? Step::done : Step::wrong;
    case Request::close:
      return type == pg::Backend::CloseComplete ? Step::done : Step::wrong;
    case Request::function_call:
      return type == pg::Backend::FunctionCallResponse ? Step::part : Step::wrong;
    case Request::sync:
    case Request::copy_end:
      return Step::wrong;
  }
  return Step::wrong;
}

}  // namespace

bool ExpectedReplies::push(Expected&& expected) {
  FB_ASSERT(expected.request != Request::copy_end);
  if (copying_in_) {
    // The server swallows a Sync; anything else aborts the copy and is lost with it.
    ++taken_by_copy_;
    if (expected.request != Request::sync) copying_in_ = false;
    return false;
  }
  if (expected.request == Request::sync) {
    skipping_ = false;
  } else if (skipping_) {
    return false;
  }
  batch_open_ = !ends_with_ready(expected.request);
  if (expected.request == Request::sync) ++batch_;
  append(std::move(expected));
  return true;
}

bool ExpectedReplies::closes_in_earlier_batch(std::string_view name) const {
  if (closes_ == 0 || syncs_ == 0) return false;
  std::uint32_t syncs_behind = syncs_;
  for (std::size_t i = 0; i < count_ && syncs_behind > 0; ++i) {
    const Expected& expected = at(i);
    if (expected.request == Request::sync) --syncs_behind;
    if (syncs_behind > 0 && closes(expected) && expected.change->name == name) return true;
  }
  return false;
}

std::string ExpectedReplies::closed_name(std::string_view server_name) const {
  for (std::size_t i = 0; i < count_; ++i) {
    const Expected& expected = at(i);
    if (!closes(expected) || !expected.change->closed->statement) continue;
    if (expected.change->closed->statement->server_name() == server_name) {
      return expected.change->name;
    }
  }
  return {};
}

void ExpectedReplies::push_copy_end() {
  if (copying_in_) {
    copying_in_ = false;
  } else if (count_ > 0) {
    append({.request = Request::copy_end, .disposition = Disposition::discard});
  }
}

ExpectedReplies::Taken ExpectedReplies::take(pg::Backend type) {
  voided_.clear();
  Taken taken;
  if (count_ == 0) return taken;
  FB_ASSERT(head().disposition != Disposition::supply);
  // The end of a Query's answers is the client's, also where an error cut short what we put in.
  taken.disposition = type == pg::Backend::ReadyForQuery ? head().disposition : disposition();
  const Request request = head().request;

  if (type == pg::Backend::ErrorResponse) {
    doubtful_ = doubtful_ || taken_by_copy_ > 0;
    taken_by_copy_ = 0;
    copying_in_ = false;
    copies_in_ = false;
    if (!ends_with_ready(request)) return fail();
    taken.effect = Effect::error;
    return taken;
  }
  if (type == pg::Backend::CommandComplete) {
    copies_in_ = false;
    taken_by_copy_ = 0;                    // the copy came to its end
    doubtful_ = doubtful_ || copying_in_;  // of which the client knows nothing: see end_copy_in
  }
  switch (step_of(request, type)) {
    case Step::wrong:
      return taken;
    case Step::part:
      taken.effect = Effect::part;
      if (type == pg::Backend::CopyInResponse || type == pg::Backend::CopyBothResponse) {
        begin_copy_in();
      }
      return taken;
    case Step::done:
      taken.effect = Effect::done;
      if (copying_in_) end_copy_in();
      done_ = first_;
      leave_head();
      skip_copy_ends();
      return taken;
  }
  return taken;
}

bool ExpectedReplies::take_ready_in_doubt() noexcept {
  if (!doubtful_ || count_ > 0) return false;
  skipping_ = false;
  batch_open_ = false;
  return true;
}

bool ExpectedReplies::owes_client() const noexcept {
  if (count_ == 0 || batch_open_) return false;
  return ring_[(first_ + count_ - 1) & (ring_.size() - 1)].disposition == Disposition::forward;
}

bool ExpectedReplies::owes_ready() const noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    const Expected& expected = at(i);
    if (expected.disposition == Disposition::forward && ends_with_ready(expected.request))
      return true;
  }
  return false;
}

bool ExpectedReplies::owes_earlier_batch() const noexcept {
  std::uint32_t syncs_behind = syncs_;
  for (std::size_t i = 0; i < count_ && syncs_behind > 0; ++i) {
    const Expected& expected = ring_[(first_ + i) & (ring_.size() - 1)];
    if (expected.disposition != Disposition::discard) return true;
    if (expected.request == Request::sync) --syncs_behind;
  }
  return false;
}

bool ExpectedReplies::owes_statement() const noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    const Expected& expected = at(i);
    if (expected.disposition != Disposition::forward) continue;
    if (is_statement(expected.request)) return true;
    if (expected.request == Request::sync) return false;
  }
  return false;
}

bool ExpectedReplies::may_end_server() const noexcept {
  bool may = false;
  each([&may](const Expected& expected) {
    const SpecialReply* const special = expected.special.get();
    may = may || (special != nullptr && special->work != nullptr &&
                  special->work->has(SessionStep::Kind::end_server));
  });
  return may;
}

bool ExpectedReplies::changes_session() const noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    const Expected& expected = ring_[(first_ + i) & (ring_.size() - 1)];
    if (expected.special != nullptr && expected.special->work != nullptr) return true;
  }
  return false;
}

bool ExpectedReplies::supplied_at_head() const noexcept {
  return count_ > 0 && head().disposition == Disposition::supply;
}

Expected ExpectedReplies::pop_supplied() {
  FB_ASSERT(supplied_at_head());
  return pop_head();
}

std::vector<Expected> ExpectedReplies::give_up() {
  std::vector<Expected> owed;
  owed.reserve(count_);
  while (count_ > 0) owed.push_back(drop_head());
  return owed;
}

void ExpectedReplies::abandon_all() {
  const std::size_t old_count = count_;
  for (std::size_t i = 0; i < old_count; ++i) {
    Expected expected = drop_head();
    if (expected.disposition == Disposition::supply) continue;
    if (expected.disposition != Disposition::discard) expected.disposition = Disposition::abandon;
    append(std::move(expected));
  }
}

// Off the queue; what it was stays in its place.
void ExpectedReplies::leave_head() noexcept {
  if (head().request == Request::sync) --syncs_;
  if (closes(head())) --closes_;
  first_ = (first_ + 1) & (ring_.size() - 1);
  --count_;
}

Expected ExpectedReplies::drop_head() {
  Expected& expected = head();
  leave_head();
  return std::move(expected);
}

Expected ExpectedReplies::pop_head() {
  Expected expected = drop_head();
  skip_copy_ends();
  return expected;
}

// A copy_end that no copy claimed: the server ignores the message, too.
void ExpectedReplies::skip_copy_ends() noexcept {
  while (count_ > 0 && head().request == Request::copy_end) leave_head();
}

void ExpectedReplies::let_go() noexcept {
  Expected& expected = done();
  expected.change.reset();
  expected.special.reset();
  expected.sent.entry.reset();
  expected.sent.note.reset();
}

void ExpectedReplies::append(Expected&& expected) {
  if (count_ == ring_.size()) {
    std::vector<Expected> larger(ring_.empty() ? 8 : 2 * ring_.size());
    for (std::size_t i = 0; i < count_; ++i) larger[i] = std::move(at(i));
    ring_ = std::move(larger);
    first_ = 0;
  }
  if (expected.request == Request::sync) ++syncs_;
  if (closes(expected)) ++closes_;
  at(count_) = std::move(expected);
  ++count_;
}

void ExpectedReplies::begin_copy_in() {
  // What was sent behind the request before anybody knew that it is a copy: each Sync is swallowed,
  // CopyDone or CopyFail ends it, anything else aborts it and is lost.
  taken_by_copy_ = 0;
  copying_in_ = true;
  copies_in_ = true;
  std::size_t next = 1;
  for (; next < count_ && copying_in_; ++next) {
    const Request request = at(next).request;
    if (request == Request::sync) --syncs_;
    if (request != Request::copy_end) ++taken_by_copy_;
    if (request == Request::sync) continue;
    copying_in_ = false;
    if (closes(at(next))) --closes_;
    if (request != Request::copy_end) voided_.push_back(std::move(at(next)));
  }
  const std::size_t removed = next - 1;
  if (removed == 0) return;
  for (std::size_t i = 1; i + removed < count_; ++i) at(i) = std::move(at(i + removed));
  count_ -= removed;
  if (count_ == 1) batch_open_ = !ends_with_ready(head().request);
}

// The copy came to its end before its client said so: by a server of which nobody knows what it
// makes of what comes next. What the client says of the copy goes there until the answer is over.
void ExpectedReplies::end_copy_in() noexcept {
  doubtful_ = true;
  copying_in_ = false;
  taken_by_copy_ = 0;
}

ExpectedReplies::Taken ExpectedReplies::fail() {
  Taken taken;
  taken.effect = Effect::batch_failed;
  taken.disposition = head().disposition;
  while (count_ > 0 && head().request != Request::sync) voided_.push_back(drop_head());
  if (count_ == 0) {
    skipping_ = true;
    batch_open_ = true;
  }
  return taken;
}

}  // namespace forebay::core
