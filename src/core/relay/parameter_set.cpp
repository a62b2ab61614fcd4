#include "core/relay/parameter_set.hpp"

#include <algorithm>
#include <iterator>

namespace forebay::core {
namespace {

std::size_t hash_of(const std::vector<ParameterSet::Entry>& entries) {
  std::size_t hash = entries.size();
  for (const auto& [name, value] : entries) {
    for (const std::string* text : {&name, &value}) {
      hash = hash * 0x9e3779b97f4a7c15u + std::hash<std::string>{}(*text);
    }
  }
  return hash;
}

bool by_name(const ParameterSet::Entry& a, const ParameterSet::Entry& b) {
  return a.first < b.first;
}

}  // namespace

bool is_harmless_to_parsing(std::string_view name) noexcept {
  constexpr std::string_view kHarmless[] = {
      "application_name",   "work_mem",           "maintenance_work_mem", "client_min_messages",
      "synchronous_commit", "extra_float_digits", "bytea_output",         "row_security",
      "temp_buffers",       "hash_mem_multiplier"};
  constexpr std::string_view kBeginnings[] = {
      "enable_",    "log_",   "jit",    "geqo", "default_transaction_",
      "effective_", "track_", "debug_", "tcp_"};
  constexpr std::string_view kEnds[] = {"_timeout", "_cost"};
  return name.find('.') != std::string_view::npos ||
         std::find(std::begin(kHarmless), std::end(kHarmless), name) != std::end(kHarmless) ||
         std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                     [&](auto begin) { return name.starts_with(begin); }) ||
         std::any_of(std::begin(kEnds), std::end(kEnds),
                     [&](auto end) { return name.ends_with(end); });
}

ParameterSet::ParameterSet(std::vector<Entry> entries) : entries_(std::move(entries)) {
  for (const auto& [name, value] : entries_) {
    bytes_ += name.size() + value.size();
    half_a_date_style_ = half_a_date_style_ || is_half_a_date_style(name, value);
    if (is_harmless_to_parsing(name)) continue;
    parse_context_.append(name).append(1, '\0').append(value).append(1, '\0');
  }
}

const std::string* ParameterSet::find(std::string_view name) const noexcept {
  const auto found = std::lower_bound(
      entries_.begin(), entries_.end(), name,
      [](const Entry& entry, std::string_view wanted) { return entry.first < wanted; });
  if (found == entries_.end() || found->first != name) return nullptr;
  return &found->second;
}

namespace {

// DateStyle has two parts, and who sets one of them keeps the other: whosever that was.
void change_to(std::vector<ParameterChange>& changes, const ParameterSet::Entry& wanted) {
  if (is_half_a_date_style(wanted.first, wanted.second)) {
    changes.push_back({wanted.first, std::nullopt});
  }
  changes.push_back({wanted.first, wanted.second});
}

}  // namespace

bool is_half_a_date_style(std::string_view name, std::string_view value) noexcept {
  return name == kDateStyle && value.find(',') == std::string_view::npos;
}

std::vector<ParameterChange> difference(const ParameterSet& has, const ParameterSet& wanted) {
  std::vector<ParameterChange> changes;
  auto old = has.entries().begin();
  auto fresh = wanted.entries().begin();
  while (old != has.entries().end() || fresh != wanted.entries().end()) {
    if (fresh == wanted.entries().end() ||
        (old != has.entries().end() && old->first < fresh->first)) {
      changes.push_back({old->first, std::nullopt});
      ++old;
    } else if (old == has.entries().end() || fresh->first < old->first) {
      change_to(changes, *fresh);
      ++fresh;
    } else {
      if (old->second != fresh->second) change_to(changes, *fresh);
      ++old;
      ++fresh;
    }
  }
  return changes;
}

std::vector<ParameterChange> all_changes(const ParameterSet& has, const ParameterSet& wanted) {
  std::vector<ParameterChange> changes;
  for (const auto& [name, value] : has.entries()) {
    if (wanted.find(name) == nullptr) changes.push_back({name, std::nullopt});
  }
  for (const auto& entry : wanted.entries()) change_to(changes, entry);
  return changes;
}

std::vector<ParameterChange> in_order(const ParameterSet& has, const ParameterSet& wanted,
                                      std::vector<ParameterChange> changes) {
  constexpr std::string_view kIdentity[] = {"session_authorization", "role"};
  const auto is_identity = [&](const ParameterChange& change) {
    return std::find(std::begin(kIdentity), std::end(kIdentity), change.name) !=
           std::end(kIdentity);
  };
  const bool somebody = std::any_of(std::begin(kIdentity), std::end(kIdentity),
                                    [&](auto name) { return has.find(name) != nullptr; });
  const bool becomes = std::any_of(changes.begin(), changes.end(), is_identity);
  if (changes.empty() || (!somebody && !becomes)) return changes;
  std::vector<ParameterChange> ordered;
  if (has.find("role") != nullptr) ordered.push_back({"role", std::nullopt});
  if (has.find("session_authorization") != nullptr) {
    ordered.push_back({"session_authorization", std::nullopt});
  }
  std::copy_if(changes.begin(), changes.end(), std::back_inserter(ordered),
               [&](const ParameterChange& change) { return !is_identity(change); });
  for (const std::string_view name : kIdentity) {
    if (const std::string* value = wanted.find(name)) ordered.push_back({name, *value});
  }
  return ordered;
}

std::string parameter_name(Bytes name) {
  return lower(name);
}

ParameterSets::ParameterSets() : empty_(new ParameterSet({})) {}

ParameterSetRef ParameterSets::make(std::vector<ParameterSet::Entry> entries) {
  if (entries.empty()) return empty_;
  for (auto& entry : entries) entry.first = parameter_name(entry.first);
  std::stable_sort(entries.begin(), entries.end(), by_name);
  std::vector<ParameterSet::Entry> unique;
  for (auto& entry : entries) {
    if (!unique.empty() && unique.back().first == entry.first) {
      unique.back() = std::move(entry);
    } else {
      unique.push_back(std::move(entry));
    }
  }
  return intern(std::move(unique));
}

ParameterSetRef ParameterSets::with(const ParameterSet& set, Bytes name, Bytes value) {
  std::vector<ParameterSet::Entry> entries = set.entries();
  entries.emplace_back(std::string(name), std::string(value));
  return make(std::move(entries));
}

ParameterSetRef ParameterSets::without(const ParameterSet& set, Bytes name) {
  std::vector<ParameterSet::Entry> entries = set.entries();
  std::erase_if(entries, [&](const ParameterSet::Entry& entry) { return entry.first == name; });
  return intern(std::move(entries));
}

std::size_t ParameterSets::size() const {
  const std::lock_guard lock(mutex_);
  return by_hash_.size();
}

ParameterSetRef ParameterSets::intern(std::vector<ParameterSet::Entry> sorted) {
  if (sorted.empty()) return empty_;
  const std::size_t hash = hash_of(sorted);
  std::vector<ParameterSetRef> others;  // may be their last references: freed after the lock
  const std::lock_guard lock(mutex_);
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    ParameterSetRef known = it->second.lock();
    if (known == nullptr) continue;
    if (known->entries() == sorted) return known;
    others.push_back(std::move(known));
  }
  ParameterSetRef made(new ParameterSet(std::move(sorted)), [this, hash](const ParameterSet* set) {
    {
      const std::lock_guard dying(mutex_);
      const auto [begin, end] = by_hash_.equal_range(hash);
      for (auto it = begin; it != end; ++it) {
        if (it->second.expired()) {
          by_hash_.erase(it);
          break;
        }
      }
    }
    delete set;
  });
  by_hash_.emplace(hash, made);
  return made;
}

}  // namespace forebay::core
