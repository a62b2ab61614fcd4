#include <algorithm>
#include <charconv>

#include "forebay/routing/cluster/topology.hpp"

namespace forebay::routing {
namespace {

constexpr std::uint64_t kPageBytes = 8192;
/// The headers of a page, and of a segment's first page.
constexpr std::uint64_t kPageHeader = 24;
constexpr std::uint64_t kSegmentHeader = 40;

std::optional<std::uint64_t> parse_hex(std::string_view text) noexcept {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string hex(std::uint64_t value) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
  std::transform(digits, end, digits,
                 [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
  return {digits, end};
}

}  // namespace

std::optional<Lsn> parse_lsn(std::string_view text) noexcept {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto high = parse_hex(text.substr(0, slash));
  const auto low = parse_hex(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return (*high << 32) | *low;
}

std::string lsn_to_string(Lsn lsn) {
  return hex(lsn >> 32) + '/' + hex(lsn & 0xFFFFFFFF);
}

Lsn normalized(Lsn insert_lsn, std::uint64_t segment_bytes) noexcept {
  if (segment_bytes > 0 && insert_lsn % segment_bytes == kSegmentHeader) {
    return insert_lsn - kSegmentHeader;
  }
  return insert_lsn % kPageBytes == kPageHeader ? insert_lsn - kPageHeader : insert_lsn;
}

void LsnHistory::add(Instant asked, Lsn lsn) {
  if (!entries_.empty()) {
    Entry& newest = entries_.back();
    if (asked < newest.last || lsn < newest.lsn) return;
    if (lsn == newest.lsn) {
      newest.last = asked;
      return;
    }
  }
  // A replica that is further behind than half of them has no bound: it is behind enough.
  if (entries_.size() == kMost) entries_.erase(entries_.begin(), entries_.begin() + kMost / 2);
  entries_.push_back({asked, lsn});
}

std::optional<Instant> LsnHistory::complete_until(Lsn replayed) const noexcept {
  const auto above =
      std::upper_bound(entries_.begin(), entries_.end(), replayed,
                       [](Lsn position, const Entry& entry) { return position < entry.lsn; });
  if (above == entries_.begin()) return std::nullopt;
  return std::prev(above)->last;
}

}  // namespace forebay::routing
