#include "net/mailbox.hpp"

#include <sys/eventfd.h>

#include <utility>

#include "forebay/base/assert.hpp"

namespace forebay::net {

void Mailbox::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (loop_ == Loop::gone) return;
    mail_.push_back(std::move(task));
    if (std::exchange(loop_, Loop::awake) == Loop::awake) return;
    counters_->wake_ups.add();
  }
  // Outside of the lock, which the one who wakes needs at once. The descriptor is ours, so it
  // is open also when the loop has just gone.
  FB_ASSERT(::eventfd_write(event_.get(), 1) == 0);
}

bool Mailbox::may_sleep() {
  const std::lock_guard lock(mutex_);
  if (!mail_.empty()) return false;
  loop_ = Loop::asleep;
  return true;
}

void Mailbox::take(std::vector<Task>& into) {
  const std::lock_guard lock(mutex_);
  loop_ = Loop::awake;
  into.swap(mail_);
}

void Mailbox::close() {
  std::vector<Task> undone;  // destroyed outside of the lock: a task may own anything
  const std::lock_guard lock(mutex_);
  loop_ = Loop::gone;
  undone.swap(mail_);
}

}  // namespace forebay::net
