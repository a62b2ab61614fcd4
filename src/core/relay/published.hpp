#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace forebay::core {

/// What is known of a database, for all its pools: an immutable `T` that one thread publishes and
/// all read. `T` has a `serial()` of its own among all of its kind, never 0, and compares by what
/// it says. Thread-safe.
template <class T>
class Published {
 public:
  /// Null: nobody has published any yet.
  [[nodiscard]] std::shared_ptr<const T> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  /// Of what `get` gives; 0 for null.
  [[nodiscard]] std::uint32_t serial() const noexcept {
    return serial_.load(std::memory_order_acquire);
  }
  void publish(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    // What was judged by the same stays judged.
    if (value_ != nullptr && *value_ == *value) return;
    value_ = std::move(value);
    serial_.store(value_->serial(), std::memory_order_release);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
  std::atomic<std::uint32_t> serial_{0};
};

/// One thread's copies, one for each database: takes a lock only when there is something new.
template <class T>
class PublishedReader {
 public:
  /// Null where nothing is known yet. Good until the next call.
  const T* of(const Published<T>* published) {
    const std::uint32_t serial = published == nullptr ? 0 : published->serial();
    if (serial == 0) return nullptr;
    if (last_ == nullptr || published != last_of_ || last_->serial() != serial) {
      std::shared_ptr<const T>& copy = copies_[published];
      if (copy == nullptr || copy->serial() != serial) copy = published->get();
      last_of_ = published;
      last_ = copy.get();
    }
    return last_;
  }

 private:
  const Published<T>* last_of_ = nullptr;  ///< who asked last asks next, mostly
  const T* last_ = nullptr;
  std::unordered_map<const Published<T>*, std::shared_ptr<const T>> copies_;
};

}  // namespace forebay::core
