#pragma once

#include <mutex>
#include <vector>

#include "forebay/net/counters.hpp"
#include "forebay/net/descriptor.hpp"
#include "forebay/net/task.hpp"

namespace forebay::net {

/// Tasks from any thread to one loop. The eventfd is written only by the one who finds the loop
/// asleep; it is watched edge-triggered, so nobody ever reads it.
class Mailbox {
 public:
  Mailbox(Descriptor event, ReactorCounters& counters)
      : event_(std::move(event)), counters_(&counters) {}

  /// Any thread. After `close`: destroys the task undone.
  void post(Task task);

  // The loop's side.

  [[nodiscard]] int event() const noexcept { return event_.get(); }
  /// Says that the loop is about to wait, unless there is mail. From then on, `post` wakes it.
  [[nodiscard]] bool may_sleep();
  /// Gives all mail in `into` (which is empty), and ends the sleep.
  void take(std::vector<Task>& into);
  /// No mail from here on; what is there is destroyed.
  void close();

 private:
  enum class Loop { awake, asleep, gone };

  std::mutex mutex_;
  std::vector<Task> mail_;
  Loop loop_ = Loop::awake;
  Descriptor event_;
  ReactorCounters* counters_;  ///< valid until `close`
};

}  // namespace forebay::net
