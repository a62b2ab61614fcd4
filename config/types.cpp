#include "config/types.hpp"

#include <algorithm>
#include <charconv>
#include <functional>

#include "config/address.hpp"

namespace forebay::config {
namespace {

using ParseAddress = std::function<Result<Endpoint>(std::string_view)>;
using Collide = bool (*)(const Endpoint&, const Endpoint&);

/// An array of addresses, or one; all different in the sense of `collide`.
std::optional<std::vector<Endpoint>> read_addresses(const Value& value, Reading& reading,
                                                    std::string_view form,
                                                    const ParseAddress& parse, Collide collide) {
  const Array* elements = value.as<Array>();
  Array single;
  if (elements == nullptr && value.as<std::string>() != nullptr) {
    single.push_back(value);
    elements = &single;
  }
  if (elements == nullptr) {
    reading.expected(value, form);
    return std::nullopt;
  }
  bool good = true;
  std::vector<Endpoint> addresses;
  for (const Value& element : *elements) {
    const auto* text = element.as<std::string>();
    if (text == nullptr) {
      reading.expected(element, form);
      good = false;
      continue;
    }
    Result<Endpoint> address = parse(*text);
    if (!address) {
      reading.refuse(element.at, "expected " + std::string(form) + ": " + address.error().message);
      good = false;
      continue;
    }
    for (const Endpoint& earlier : addresses) {
      if (!collide(earlier, *address)) continue;
      reading.refuse(element.at, "this address is already listed as " + quoted(to_string(earlier)) +
                                     "; leave one of them out");
      good = false;
      break;
    }
    addresses.push_back(std::move(*address));
  }
  if (good && addresses.empty()) {
    reading.refuse(value.at, "the list is empty; expected " + std::string(form));
    good = false;
  }
  if (!good) return std::nullopt;
  return addresses;
}

std::string show_addresses(const std::vector<Endpoint>& addresses) {
  std::string text = "[";
  for (const Endpoint& address : addresses) {
    if (text.size() > 1) text += ", ";
    text += quoted(to_string(address));
  }
  return text + "]";
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char letter : text) {
    const auto code = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      result += '\\';
      result += letter;
    } else if (code < 0x20 || code == 0x7f) {
      constexpr std::string_view kDigits = "0123456789ABCDEF";
      result += "\\u00";
      result += kDigits[code >> 4];
      result += kDigits[code & 15];
    } else {
      result += letter;
    }
  }
  return result + "\"";
}

std::string listed(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += ", ";
    text += quoted(word);
  }
  return text;
}

std::optional<bool> Flag::read(const Value& value, Reading& reading) const {
  if (const bool* flag = value.as<bool>()) return *flag;
  reading.expected(value, "true or false");
  return std::nullopt;
}

std::string Count::range() const {
  return "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
}

std::optional<std::uint32_t> Count::read(const Value& value, Reading& reading) const {
  const auto* number = value.as<std::int64_t>();
  if (number == nullptr) {
    reading.expected(value, range() + " such as " + std::to_string(std::max(least, most / 10)));
    return std::nullopt;
  }
  if (*number < std::int64_t{least} || *number > std::int64_t{most}) {
    reading.refuse(value.at, std::to_string(*number) + " is out of range; expected " + range());
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(*number);
}

std::optional<CountOrAuto::Held> CountOrAuto::read(const Value& value, Reading& reading) const {
  if (const auto* text = value.as<std::string>()) {
    if (*text == "auto") return std::optional<Held>(std::in_place);  // an empty one
    reading.expected(value, count.range() + ", or \"auto\"");
    return std::nullopt;
  }
  const auto number = count.read(value, reading);
  if (!number) return std::nullopt;
  return Held(*number);
}

std::optional<ByteSize> ByteRate::read(const Value& value, Reading& reading) const {
  constexpr const char* kForm = "a size such as \"10MiB\" (or 0 for no limit)";
  if (const auto* number = value.as<std::int64_t>(); number != nullptr && *number == 0) {
    return ByteSize();
  }
  const auto* text = value.as<std::string>();
  if (text == nullptr) {
    reading.expected(value, kForm);
    return std::nullopt;
  }
  const Result<ByteSize> size = parse_size(*text);
  if (!size) {
    reading.refuse(value.at, size.error().message);
    return std::nullopt;
  }
  if (size->value() != 0 && (*size < kLeast || *size > kMost)) {
    reading.refuse(value.at, format_size(*size) + " is out of range; expected a size from " +
                                 quoted(format_size(kLeast)) + " to " + quoted(format_size(kMost)) +
                                 ", or 0 for no limit");
    return std::nullopt;
  }
  return *size;
}

std::string ByteRate::show(ByteSize size) const {
  return size.value() == 0 ? "0" : quoted(format_size(size));
}

std::optional<milliseconds> Time::read(const Value& value, Reading& reading) const {
  if (const auto* number = value.as<std::int64_t>()) {
    if (*number == 0) return milliseconds(0);
    reading.refuse(value.at,
                   "expected a duration such as \"30s\" (the number needs a unit, and quotes: "
                   "ms, s, min, h, d)");
    return std::nullopt;
  }
  const auto* text = value.as<std::string>();
  if (text == nullptr) {
    reading.expected(value, "a duration such as \"30s\" (or 0 for none)");
    return std::nullopt;
  }
  const Result<milliseconds> time = parse_duration(*text);
  if (!time) {
    reading.refuse(value.at, time.error().message);
    return std::nullopt;
  }
  if (*time > kLongestTime) {
    reading.refuse(value.at, format_duration(*time) +
                                 " is out of range; expected a duration from \"1ms\" to " +
                                 quoted(format_duration(kLongestTime)) + ", or 0 for none");
    return std::nullopt;
  }
  return *time;
}

std::string Time::show(milliseconds time) const {
  return time.count() == 0 ? "0" : quoted(format_duration(time));
}

std::optional<std::string> Text::read(const Value& value, Reading& reading) const {
  if (const auto* text = value.as<std::string>()) return *text;
  reading.expected(value, "a string such as " + quoted(example));
  return std::nullopt;
}

std::optional<std::vector<std::string>> Texts::read(const Value& value, Reading& reading) const {
  const Array* elements = value.as<Array>();
  if (elements == nullptr) {
    reading.expected(value, "an array of strings such as " + std::string(example));
    return std::nullopt;
  }
  std::vector<std::string> texts;
  for (const Value& element : *elements) {
    const auto* text = element.as<std::string>();
    if (text == nullptr || text->empty()) {
      reading.expected(element, "an array of strings such as " + std::string(example));
      return std::nullopt;
    }
    texts.push_back(*text);
  }
  return texts;
}

std::string Texts::show(const std::vector<std::string>& texts) const {
  std::string shown;
  for (const std::string& text : texts) shown += (shown.empty() ? "" : ", ") + quoted(text);
  return "[" + shown + "]";
}

std::optional<Counts::Held> Counts::read(const Value& value, Reading& reading) const {
  const Array* elements = value.as<Array>();
  if (elements == nullptr) {
    reading.expected(value, "an array of numbers such as [1, 1, 2]");
    return std::nullopt;
  }
  Held counts;
  for (const Value& element : *elements) {
    const auto count = each.read(element, reading);
    if (!count) return std::nullopt;
    counts.push_back(*count);
  }
  return counts;
}

std::string Counts::show(const Held& counts) const {
  std::string shown;
  for (const std::uint32_t count : counts) shown += (shown.empty() ? "" : ", ") + each.show(count);
  return "[" + shown + "]";
}

std::optional<Networks::Held> Networks::read(const Value& value, Reading& reading) const {
  constexpr std::string_view kForm = "an array of networks such as [\"10.0.0.0/8\"]";
  const Array* elements = value.as<Array>();
  if (elements == nullptr) {
    reading.expected(value, kForm);
    return std::nullopt;
  }
  Held networks;
  for (const Value& element : *elements) {
    const auto* text = element.as<std::string>();
    if (text == nullptr) {
      reading.expected(element, kForm);
      return std::nullopt;
    }
    auto network = Network::parse(*text);
    if (!network) {
      reading.refuse(element.at, network.error().message);
      return std::nullopt;
    }
    networks.push_back(std::move(*network));
  }
  return networks;
}

std::string Networks::show(const Held& networks) const {
  std::string shown;
  for (const Network& network : networks) {
    shown += (shown.empty() ? "" : ", ") + quoted(network.text());
  }
  return "[" + shown + "]";
}

std::optional<TextByName::Held> TextByName::read(const Value& value, Reading& reading) const {
  constexpr std::string_view kForm = "a table of strings such as {app = \"acme\"}";
  const Table* table = value.as<Table>();
  if (table == nullptr) {
    reading.expected(value, kForm);
    return std::nullopt;
  }
  Held texts;
  for (const Member& member : *table) {
    const auto* text = member.value.as<std::string>();
    if (text == nullptr || text->empty()) {
      reading.expected(member.value, kForm);
      return std::nullopt;
    }
    texts.emplace(member.name, *text);
  }
  return texts;
}

std::string TextByName::show(const Held& texts) const {
  std::string shown;
  for (const auto& [name, text] : texts) {
    shown += (shown.empty() ? "" : ", ") + quoted(name) + " = " + quoted(text);
  }
  return "{" + shown + "}";
}

std::optional<NetworksByName::Held> NetworksByName::read(const Value& value,
                                                         Reading& reading) const {
  const Table* table = value.as<Table>();
  if (table == nullptr) {
    reading.expected(value, "a table of networks such as {\"*:6432\" = [\"10.0.0.0/8\"]}");
    return std::nullopt;
  }
  Held result;
  for (const Member& member : *table) {
    auto networks = Networks{}.read(member.value, reading);
    if (!networks) return std::nullopt;
    result.emplace(member.name, std::move(*networks));
  }
  return result;
}

std::string NetworksByName::show(const Held& networks) const {
  std::string shown;
  for (const auto& [name, held] : networks) {
    shown += (shown.empty() ? "" : ", ") + quoted(name) + " = " + Networks{}.show(held);
  }
  return "{" + shown + "}";
}

std::optional<CountByName::Held> CountByName::read(const Value& value, Reading& reading) const {
  const Table* table = value.as<Table>();
  if (table == nullptr) {
    reading.expected(value, "a table of whole numbers such as {acme = 2}");
    return std::nullopt;
  }
  Held counts;
  for (const Member& member : *table) {
    const auto number = count.read(member.value, reading);
    if (!number) return std::nullopt;
    counts.emplace(member.name, *number);
  }
  return counts;
}

std::string CountByName::show(const Held& counts) const {
  std::string shown;
  for (const auto& [name, number] : counts) {
    shown += (shown.empty() ? "" : ", ") + quoted(name) + " = " + std::to_string(number);
  }
  return "{" + shown + "}";
}

std::optional<std::string> PostgresName::read(const Value& value, Reading& reading) const {
  auto text = Text{example}.read(value, reading);
  if (!text || text->size() <= kMaxNameBytes) return text;
  reading.refuse(value.at, "this name has " + std::to_string(text->size()) +
                               " bytes; PostgreSQL's names have at most 63");
  return std::nullopt;
}

std::optional<std::size_t> read_word(const Value& value, Reading& reading,
                                     std::span<const std::string_view> words) {
  const auto* text = value.as<std::string>();
  if (text == nullptr) {
    reading.expected(value, "one of " + listed(words));
    return std::nullopt;
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == *text) return i;
  }
  std::string why = "expected one of " + listed(words);
  if (const auto near = nearest(*text, words)) why += "; did you mean " + quoted(*near) + "?";
  reading.refuse(value.at, why);
  return std::nullopt;
}

std::optional<std::string> Word::read(const Value& value, Reading& reading) const {
  const auto index = read_word(value, reading, words);
  if (!index) return std::nullopt;
  return std::string(words[*index]);
}

std::optional<std::uint32_t> FileMode::read(const Value& value, Reading& reading) const {
  constexpr std::string_view kForm = "permissions as an octal string such as \"0770\"";
  constexpr std::uint32_t kMost = 0777;
  const auto* text = value.as<std::string>();
  if (text == nullptr) {
    reading.expected(value, kForm);
    return std::nullopt;
  }
  std::uint32_t mode = 0;
  const char* end = text->data() + text->size();
  const auto [stop, code] = std::from_chars(text->data(), end, mode, 8);
  if (code != std::errc() || stop != end || mode > kMost) {
    reading.refuse(value.at, "expected " + std::string(kForm) + ", from \"0000\" to \"0777\"");
    return std::nullopt;
  }
  return mode;
}

std::string FileMode::show(std::uint32_t mode) const {
  std::string digits = "0000";
  for (std::size_t i = digits.size(); i-- > 0; mode >>= 3) {
    digits[i] = static_cast<char>('0' + (mode & 7));
  }
  return quoted(digits);
}

std::optional<ListenAddresses::Held> ListenAddresses::read(const Value& value,
                                                           Reading& reading) const {
  const auto parse = [&reading](std::string_view text) {
    return parse_listen_address(text, reading.environment());
  };
  return read_addresses(value, reading,
                        "addresses such as [\"127.0.0.1:6432\", \"[::1]:6432\", "
                        "\"/run/forebay/.s.PGSQL.6432\"]",
                        parse, addresses_collide);
}

std::string ListenAddresses::show(const Held& addresses) const {
  return show_addresses(addresses);
}

std::optional<ServerAddresses::Held> ServerAddresses::read(const Value& value,
                                                           Reading& reading) const {
  return read_addresses(
      value, reading, "servers such as [\"db1:5432\", \"db2:5432\"] or \"/var/run/postgresql\"",
      parse_server_address, [](const Endpoint& a, const Endpoint& b) { return a == b; });
}

std::string ServerAddresses::show(const Held& addresses) const {
  return show_addresses(addresses);
}

std::optional<PeerAddresses::Held> PeerAddresses::read(const Value& value, Reading& reading) const {
  if (const auto* list = value.as<Array>(); list != nullptr && list->empty()) return Held{};
  return read_addresses(value, reading, "addresses such as [\"10.0.0.1:6432\", \"10.0.0.2:6432\"]",
                        parse_peer_address,
                        [](const Endpoint& a, const Endpoint& b) { return a == b; });
}

std::string PeerAddresses::show(const Held& addresses) const {
  return show_addresses(addresses);
}

std::optional<HttpUrls::Held> HttpUrls::read(const Value& value, Reading& reading) const {
  const std::string form = "an array of URLs such as " + std::string(example);
  const Array* elements = value.as<Array>();
  if (elements == nullptr) {
    reading.expected(value, form);
    return std::nullopt;
  }
  Held urls;
  for (const Value& element : *elements) {
    const auto* text = element.as<std::string>();
    if (text == nullptr) {
      reading.expected(element, form);
      return std::nullopt;
    }
    Result<HttpUrl> url = parse_http_url(*text, default_port);
    if (!url) {
      reading.refuse(element.at, "expected " + form + ": " + url.error().message);
      return std::nullopt;
    }
    urls.push_back(std::move(*url));
  }
  return urls;
}

std::string HttpUrls::show(const Held& urls) const {
  std::string shown;
  for (const HttpUrl& url : urls) shown += (shown.empty() ? "" : ", ") + quoted(to_string(url));
  return "[" + shown + "]";
}

std::optional<HttpAddress::Held> HttpAddress::read(const Value& value, Reading& reading) const {
  constexpr std::string_view kForm = "an address such as \"127.0.0.1:9127\", or \"\" for none";
  const auto* text = value.as<std::string>();
  if (text == nullptr) {
    reading.expected(value, kForm);
    return std::nullopt;
  }
  if (text->empty()) return Held(std::nullopt);
  Result<Endpoint> address = parse_http_address(*text);
  if (!address) {
    reading.refuse(value.at, "expected " + std::string(kForm) + ": " + address.error().message);
    return std::nullopt;
  }
  return Held(std::move(*address));
}

std::string HttpAddress::show(const Held& address) const {
  return quoted(address ? to_string(*address) : "");
}

}  // namespace forebay::config
