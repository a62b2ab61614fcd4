#include "config/pgbouncer/values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

#include "config/pgbouncer/files.hpp"
#include "config/types.hpp"
#include "forebay/config/config.hpp"
#include "forebay/config/names.hpp"
#include "forebay/config/units.hpp"

namespace forebay::config::pgbouncer {
namespace {

constexpr std::array<std::string_view, 4> kYes = {"1", "on", "yes", "true"};
constexpr std::array<std::string_view, 4> kNo = {"0", "off", "no", "false"};

Value none(std::string_view expected) {
  return {{}, "its value is not " + std::string(expected)};
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return result;
}

bool is_one_of(std::string_view word, std::span<const std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

template <class Enumeration>
Value word(std::string_view text, std::span<const Name<Enumeration>> names) {
  const std::string asked = lower(text);
  for (const auto& name : names) {
    if (name.text == asked) return {quoted(asked), {}};
  }
  return none("one that is known");
}

}  // namespace

Value count_within(std::string_view text, std::uint32_t least, std::uint32_t most) {
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) return none("a whole number");
  const std::int64_t kept = std::clamp<std::int64_t>(number, least, most);
  if (kept == number) return {std::to_string(kept), {}};
  const std::string range = std::to_string(least) + " to " + std::to_string(most);
  return {std::to_string(kept), "it was " + std::to_string(number) + "; possible is " + range};
}

Value seconds(std::string_view text) {
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size() || !(number >= 0)) {
    return none("a number of seconds");
  }
  const Time type;
  const double most = std::chrono::duration<double>(kLongestTime).count();
  if (number > most) return {type.show(kLongestTime), "longer is not possible"};
  // What is not 0 must not become 0, which would switch the rule off.
  const auto rounded = static_cast<std::int64_t>(std::ceil(number * 1000));
  return {type.show(milliseconds(rounded)), {}};
}

Value lifetime(std::string_view text) {
  Value value = seconds(text);
  if (value.toml != "0") return value;
  return {"\"1ms\"", "0 is for using a server connection once; here 0 would be for no limit"};
}

Value flag(std::string_view text) {
  const std::string word = lower(text);
  if (is_one_of(word, kYes)) return {"true", {}};
  if (is_one_of(word, kNo)) return {"false", {}};
  return none("0 or 1");
}

Value text(std::string_view text) {
  return {quoted(text), {}};
}

Value pool_mode(std::string_view text) {
  return word<PoolMode>(text, kPoolModes);
}

Value tls_mode(std::string_view text) {
  return word<TlsMode>(text, kTlsModes);
}

// PgBouncer's verify-full does not look at a client's name; ours does.
Value client_tls_mode(std::string_view text) {
  return tls_mode(lower(text) == "verify-full" ? "verify-ca" : text);
}

Value tls_versions(std::string_view text) {
  constexpr std::array<std::string_view, 2> kCurrent = {"tlsv1.2", "tlsv1.3"};
  std::vector<std::string> versions = split(lower(text), text.find(':') == text.npos ? ',' : ':');
  const auto has = [&](std::string_view word) {
    return std::ranges::find(versions, word) != versions.end();
  };
  if (versions == std::vector<std::string>{"tlsv1.3"}) return {"\"TLSv1.3\"", {}};
  const bool others = std::ranges::any_of(versions, [&](const std::string& version) {
    return version != "secure" && !is_one_of(version, kCurrent);
  });
  Value value{"\"TLSv1.2\"", {}};
  if (others) value.note = "TLS before 1.2 is not spoken";
  if (has("tlsv1.2") && !has("tlsv1.3")) value.note = "TLS 1.3 is spoken as well";
  return value;
}

Value ciphers(std::string_view text) {
  constexpr std::array<std::string_view, 6> kChoices = {"default", "secure", "fast",
                                                        "normal",  "all",    "legacy"};
  if (!is_one_of(lower(text), kChoices)) return {quoted(text), {}};
  return {"\"\"", "OpenSSL's default is used"};
}

Value file_mode(std::string_view text) {
  std::uint32_t mode = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (code != std::errc() || end != text.data() + text.size() || mode > 0777) {
    return none("permissions such as 0777");
  }
  return {FileMode().show(mode), {}};
}

Value log_file(std::string_view text) {
  constexpr std::string_view kOurs = "/var/log/forebay/";
  if (text.empty() || text.starts_with(kOurs)) return {quoted(text), {}};
  constexpr std::string_view kWhy = "only in /var/log/forebay may the packaged service write";
  if (!text.starts_with("/var/log/")) return {quoted(text), std::string(kWhy)};
  return {quoted(std::string(kOurs) + "forebay.log"), std::string(kWhy)};
}

Value prepared_statements(std::string_view text) {
  if (text != "0") return count_within(text, 1, 100'000);
  return {std::to_string(Config{}.max_prepared_statements),
          "0 switches them off; here they are always there, or clients would find each other's"};
}

Value auth_query(std::string_view text) {
  const bool qualified = text.find('.') != std::string_view::npos;
  return {quoted(text),
          qualified ? "" : "its search_path is pg_catalog: name the schema of all else"};
}

Value log_level(std::string_view text) {
  const Value level = count_within(text, 0, 100);
  if (level.toml.empty()) return level;
  if (level.toml == "0") return {"\"info\"", {}};
  return {"\"debug\"", "there is one level below info"};
}

}  // namespace forebay::config::pgbouncer
