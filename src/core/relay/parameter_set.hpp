#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "forebay/base/bytes.hpp"

namespace forebay::core {

/// Whether the meaning of a statement's text is the same whatever the value of this parameter. For
/// all others, also for those that we do not know, it may not be.
bool is_harmless_to_parsing(std::string_view name) noexcept;

inline constexpr std::string_view kDateStyle = "datestyle";
/// Whether the value leaves a part of DateStyle as it is: "ISO" says nothing about the order of day
/// and month.
bool is_half_a_date_style(std::string_view name, std::string_view value) noexcept;

/// Run-time parameters that somebody set explicitly: names in lower case (PostgreSQL does not
/// distinguish), sorted, each once. Immutable and interned: equal sets are the same object, so that
/// "does this link have what this client set" is one comparison of pointers.
class ParameterSet {
 public:
  using Entry = std::pair<std::string, std::string>;

  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }
  [[nodiscard]] const std::string* find(std::string_view name) const noexcept;
  /// What of it the parsing of a statement may depend on (search_path, TimeZone, which a constant
  /// of type timestamptz is read in, ...), as one text; empty for nothing.
  /// Of all names and values.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool half_a_date_style() const noexcept { return half_a_date_style_; }
  [[nodiscard]] const std::string& parse_context() const noexcept { return parse_context_; }

 private:
  friend class ParameterSets;
  explicit ParameterSet(std::vector<Entry> entries);

  const std::vector<Entry> entries_;
  std::string parse_context_;
  std::size_t bytes_ = 0;
  bool half_a_date_style_ = false;
};

using ParameterSetRef = std::shared_ptr<const ParameterSet>;

/// What must be done to a link that has one set so that it has another.
struct ParameterChange {
  std::string_view name;
  std::optional<std::string_view> value;  ///< nothing: back to the default
  bool operator==(const ParameterChange&) const = default;
};

/// The views live as long as both sets.
std::vector<ParameterChange> difference(const ParameterSet& has, const ParameterSet& wanted);

/// The same where nobody knows what is left of `has`: sets all, and resets all others.
std::vector<ParameterChange> all_changes(const ParameterSet& has, const ParameterSet& wanted);

/// The same changes in an order in which a server takes them: who the session is comes last, since
/// it decides what the session may set, and is given up first where the link is somebody else.
std::vector<ParameterChange> in_order(const ParameterSet& has, const ParameterSet& wanted,
                                      std::vector<ParameterChange> changes);

/// Lower case, as PostgreSQL compares the names of parameters (ASCII only).
std::string parameter_name(Bytes name);

/// Interns parameter sets. Thread-safe. A set lives as long as somebody refers to it.
class ParameterSets {
 public:
  ParameterSets();

  /// The set without any entry.
  [[nodiscard]] const ParameterSetRef& empty() const noexcept { return empty_; }
  /// Later entries of the same name win. Names are given as the client wrote them.
  ParameterSetRef make(std::vector<ParameterSet::Entry> entries);
  /// The same set with one value more or changed.
  ParameterSetRef with(const ParameterSet& set, Bytes name, Bytes value);
  /// The same set without a value for this name, which is given in lower case.
  ParameterSetRef without(const ParameterSet& set, Bytes name);

  [[nodiscard]] std::size_t size() const;

 private:
  ParameterSetRef intern(std::vector<ParameterSet::Entry> sorted);

  mutable std::mutex mutex_;
  std::unordered_multimap<std::size_t, std::weak_ptr<const ParameterSet>> by_hash_;
  ParameterSetRef empty_;
};

}  // namespace forebay::core
