#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace forebay::net {

/// A piece of work, done at most once and perhaps on another thread than the one that made it.
/// Unlike std::function it may own what cannot be copied: a stream, a descriptor.
class Task {
 public:
  template <class Work>
  requires(!std::same_as<std::remove_cvref_t<Work>, Task> && std::invocable<std::decay_t<Work>&>)
      Task(Work&& work)  // NOLINT(google-explicit-constructor): a callable is a task
      : work_(std::make_unique<Holder<std::decay_t<Work>>>(std::forward<Work>(work))) {}

  void operator()() { work_->run(); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void run() = 0;
  };
  template <class Work>
  struct Holder final : Base {
    explicit Holder(const Work& from) : work(from) {}
    explicit Holder(Work&& from) : work(std::move(from)) {}
    void run() override { work(); }
    Work work;
  };

  std::unique_ptr<Base> work_;
};

}  // namespace forebay::net
