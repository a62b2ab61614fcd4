#include "forebay/protocol/postgres/startup.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "forebay/protocol/postgres/reader.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"

namespace forebay::pg {
namespace {

constexpr char kTlsHandshakeRecord = 0x16;

Error malformed(std::string what) {
  return failure(std::move(what), sqlstate::kProtocolViolation);
}

/// The last of several counts, as in PostgreSQL. Sorts rather than compares each with each: 2,500
/// names fit into a packet, and comparing them took 7 ms, for a client that nobody knows yet.
void keep_last(std::vector<std::pair<Bytes, Bytes>>& parameters) {
  std::vector<std::size_t> order(parameters.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(parameters[a].first, a) < std::pair(parameters[b].first, b);
  });
  std::vector<bool> replaced(parameters.size());
  for (std::size_t i = 1; i < order.size(); ++i) {
    replaced[order[i - 1]] = parameters[order[i - 1]].first == parameters[order[i]].first;
  }
  std::vector<std::pair<Bytes, Bytes>> kept;
  kept.reserve(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!replaced[i]) kept.push_back(parameters[i]);
  }
  parameters = std::move(kept);
}

Result<ParsedStartup> parse_parameters(std::uint32_t version, Bytes body, std::size_t size) {
  StartupMessage message{version, {}};
  Reader in(body);
  for (Bytes name = in.text(); !name.empty(); name = in.text()) {
    const Bytes value = in.text();
    if (in.ok()) message.parameters.emplace_back(name, value);
  }
  if (!in.done()) {
    return malformed("invalid startup packet layout: expected terminator as last byte");
  }
  keep_last(message.parameters);
  return ParsedStartup{std::move(message), size};
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

std::vector<std::string> split_options(Bytes options) {
  std::vector<std::string> words;
  std::size_t at = 0;
  for (;;) {
    while (at < options.size() && is_blank(options[at])) ++at;
    if (at == options.size()) return words;
    std::string& word = words.emplace_back();
    for (; at < options.size() && !is_blank(options[at]); ++at) {
      if (options[at] == '\\' && ++at == options.size()) break;  // quotes nothing, is dropped
      word.push_back(options[at]);
    }
  }
}

}  // namespace

Bytes StartupMessage::value(Bytes name) const noexcept {
  for (const auto& [known, value] : parameters) {
    if (known == name) return value;
  }
  return {};
}

Result<ParsedStartup> parse_startup(Bytes input) {
  if (!input.empty() && input.front() == kTlsHandshakeRecord) return ParsedStartup{DirectTls{}, 0};
  if (input.size() < 4) return ParsedStartup{NeedMore{4}, 0};
  const std::uint32_t length = load_u32(input.data());
  if (length < 8 || length > kStartupPacketMax) {
    return malformed("invalid length of startup packet");
  }
  if (input.size() < length) return ParsedStartup{NeedMore{length}, 0};

  const std::uint32_t code = load_u32(input.data() + 4);
  const Bytes body = input.substr(8, length - 8);
  if (code == kSslRequestCode || code == kGssEncRequestCode) {
    if (!body.empty()) return malformed("invalid length of startup packet");
    if (code == kSslRequestCode) return ParsedStartup{SslRequest{}, length};
    return ParsedStartup{GssEncRequest{}, length};
  }
  if (code == kCancelRequestCode) {
    if (body.size() < 8 || body.size() > 4 + 256) {
      return malformed("invalid length of cancel request packet");
    }
    return ParsedStartup{CancelRequest{load_u32(body.data()), body.substr(4)}, length};
  }
  if (code >> 16 != 3) {
    return failure("unsupported frontend protocol " + std::to_string(code >> 16) + "." +
                       std::to_string(code & 0xffff) + ": server supports 3.0 to 3.2",
                   sqlstate::kFeatureNotSupported);
  }
  return parse_parameters(code, body, length);
}

Result<std::vector<std::pair<std::string, std::string>>> parse_options(Bytes options) {
  std::vector<std::pair<std::string, std::string>> settings;
  const std::vector<std::string> words = split_options(options);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    std::string setting;
    if (word.starts_with("--")) {
      setting = word.substr(2);
    } else if (word == "-c" && i + 1 < words.size()) {
      setting = words[++i];
    } else if (word.starts_with("-c") && word.size() > 2) {
      setting = word.substr(2);
    } else {
      return failure("invalid command-line argument for server process: " + word,
                     sqlstate::kSyntaxError);
    }
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return failure((word.starts_with("--") ? "--" : "-c ") + setting + " requires a value",
                     sqlstate::kSyntaxError);
    }
    std::string name = setting.substr(0, equals);
    std::replace(name.begin(), name.end(), '-', '_');
    settings.emplace_back(std::move(name), setting.substr(equals + 1));
  }
  return settings;
}

}  // namespace forebay::pg
