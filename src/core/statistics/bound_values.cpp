#include "core/statistics/bound_values.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

namespace forebay::core {
namespace {

// Which of a client's own portals it was: more than this nobody has to tell apart.
std::uint32_t hash_of_portal(Bytes name) noexcept {
  std::uint32_t hash = 2166136261U ^ static_cast<std::uint32_t>(name.size());
  for (const char c : name.substr(0, 64)) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  return hash;
}

/// Reads what was sent, of which the end may be missing.
class SentReader {
 public:
  explicit SentReader(Bytes sent) : left_(sent) {}

  std::optional<std::uint32_t> number(std::size_t size) {
    if (left_.size() < size) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      value = value << 8 | static_cast<unsigned char>(left_[i]);
    }
    left_.remove_prefix(size);
    return value;
  }
  /// As much of it as there is.
  Bytes take(std::size_t size) {
    const Bytes taken = left_.substr(0, size);
    left_.remove_prefix(taken.size());
    return taken;
  }

 private:
  Bytes left_;
};

void append_binary(std::string& text, Bytes value) {
  constexpr char kHex[] = "0123456789abcdef";
  text += "'\\x";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kHex[byte >> 4], kHex[byte & 15]};
  }
  text += '\'';
}

void append_text(std::string& text, Bytes value) {
  text += '\'';
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\'') text += '\'';
    text += byte < 32 || byte == 127 ? ' ' : c;
  }
  text += '\'';
}

}  // namespace

void BoundValues::keep(Bytes portal, Bytes values) noexcept {
  const std::size_t size = std::min(values.size(), kOneMax);
  const std::size_t offset = end_ % kRoom;
  if (offset + size > kRoom) end_ += kRoom - offset;
  if (size > 0) std::memcpy(bytes_.data() + end_ % kRoom, values.data(), size);
  if (++last_ == 0) ++last_;
  entries_[last_ % kKept] = {end_, last_, hash_of_portal(portal), static_cast<std::uint16_t>(size),
                             size == values.size()};
  end_ += size;
}

BoundValues::Ticket BoundValues::find(Bytes portal) const noexcept {
  const std::uint32_t hash = hash_of_portal(portal);
  Ticket ticket = last_;
  for (std::size_t i = 0; i < kKept; ++i, --ticket) {
    const Entry& entry = entries_[ticket % kKept];
    if (entry.ticket != ticket || !holds(entry)) return 0;  // so are all before it
    if (entry.portal == hash) return ticket;
  }
  return 0;
}

BoundValues::Values BoundValues::at(Ticket ticket) const noexcept {
  const Entry& entry = entries_[ticket % kKept];
  if (ticket == 0 || entry.ticket != ticket || !holds(entry)) return {};
  return {{bytes_.data() + entry.begin % kRoom, entry.size}, entry.whole};
}

std::string parameters_text(const BoundValues::Values& values, bool redacted) {
  SentReader reader(values.sent);
  const auto formats = reader.number(2);
  if (!formats) return {};
  const Bytes codes = reader.take(std::size_t{*formats} * 2);
  const auto binary = [&](std::size_t i) {
    const std::size_t at = *formats == 1 ? 1 : 2 * i + 1;  // the low byte
    return at < codes.size() && codes[at] != 0;
  };
  const auto count = reader.number(2);
  std::string text;
  for (std::size_t i = 0; count && i < *count; ++i) {
    const auto size = reader.number(4);
    if (!size) return text + (i == 0 ? "..." : ", ...");
    text += (i == 0 ? "$" : ", $") + std::to_string(i + 1) + " = ";
    if (*size == ~std::uint32_t{0}) {
      text += "NULL";
      continue;
    }
    const Bytes value = reader.take(*size);
    if (redacted) {
      text += std::to_string(*size) + (*size == 1 ? " byte" : " bytes");
    } else if (binary(i)) {
      append_binary(text, value);
    } else {
      append_text(text, value);
    }
    if (value.size() < *size && !redacted) text += "...";
  }
  return text;
}

}  // namespace forebay::core
