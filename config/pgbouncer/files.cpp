#include "config/pgbouncer/files.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>
#include <span>

namespace forebay::config::pgbouncer {
namespace {

constexpr int kMaxIncludes = 10;  // of files within one another, as in PgBouncer
constexpr std::string_view kSpace = " \t\r\v\f";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string place_of(const std::string& path, std::size_t line) {
  return path + ":" + std::to_string(line);
}

/// Calls `each(line, number)` until it fails.
template <class Each>
Result<void> for_each_line(std::string_view text, Each each) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (const Result<void> done = each(trimmed(text.substr(0, end)), number); !done) return done;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

/// Takes `"..."` off the front, in which `""` stands for a quotation mark.
std::optional<std::string> take_quoted(std::string_view& text, char mark = '"') {
  std::string inside;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == mark && !(i + 1 < text.size() && text[i + 1] == mark)) {
      text.remove_prefix(i + 1);
      return inside;
    }
    if (text[i] == mark) ++i;
    inside += text[i];
  }
  return std::nullopt;
}

bool is_key_letter(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9') || letter == '_' || letter == '.' || letter == '-' ||
         letter == '*';
}

class IniReader {
 public:
  explicit IniReader(const Environment& environment) : environment_(environment) {}

  Result<void> read(const std::string& path, int depth) {
    const Result<std::string> text = environment_.read_file(path);
    if (!text) return text.error();
    return for_each_line(*text, [&](std::string_view line, std::size_t number) {
      return read_line(line, path, number, depth);
    });
  }

  std::vector<Entry> entries;

 private:
  Result<void> read_line(std::string_view line, const std::string& path, std::size_t number,
                         int depth) {
    const std::string place = place_of(path, number);
    if (line.empty() || line.front() == ';' || line.front() == '#') return {};
    if (line.starts_with("%include")) return include(line.substr(8), path, place, depth);
    if (line.front() == '[') {
      const std::size_t close = line.find(']');
      if (close == std::string_view::npos) return failure(place + ": the closing ] is missing");
      section_ = line.substr(1, close - 1);
      return {};
    }
    std::string key;
    if (line.front() == '"') {
      auto quoted = take_quoted(line);
      if (!quoted) return failure(place + ": the closing quotation mark is missing");
      key = std::move(*quoted);
    } else {
      const auto end = std::ranges::find_if_not(line, is_key_letter);
      key.assign(line.begin(), end);
      line.remove_prefix(key.size());
    }
    line = trimmed(line);
    if (key.empty() || !line.starts_with('=')) return failure(place + ": expected key = value");
    entries.push_back({place, section_, std::move(key), std::string(trimmed(line.substr(1)))});
    return {};
  }

  /// PgBouncer takes the path from its working directory, which need not be ours: a file beside
  /// this one is as good.
  Result<void> include(std::string_view rest, const std::string& path, const std::string& place,
                       int depth) {
    std::string file(trimmed(rest));
    if (file.empty()) return failure(place + ": %include needs the path of a file");
    if (depth == kMaxIncludes) {
      return failure(place + ": files include one another more than " +
                     std::to_string(kMaxIncludes) + " deep");
    }
    if (!file.starts_with('/') && !environment_.check_readable(file)) {
      file.insert(0, path.substr(0, path.rfind('/') + 1));
    }
    if (const Result<void> done = read(file, depth + 1); !done) {
      return failure(done.error().message.find(':') == std::string::npos || depth > 0
                         ? done.error().message
                         : place + ": %include: " + done.error().message);
    }
    return {};
  }

  const Environment& environment_;
  std::string section_;
};

/// The fields of a line of an HBA file; a quoted one keeps its spaces and commas.
Result<std::vector<std::string>> fields_of(std::string_view line) {
  std::vector<std::string> fields;
  while (!(line = trimmed(line)).empty() && line.front() != '#') {
    std::string field;
    while (!line.empty() && kSpace.find(line.front()) == std::string_view::npos) {
      if (line.front() == '"') {
        auto quoted = take_quoted(line);
        if (!quoted) return failure("the closing quotation mark is missing");
        field += *quoted;
      } else {
        field += line.front();
        line.remove_prefix(1);
      }
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

/// "255.255.0.0" as 16.
std::optional<unsigned> prefix_of_mask(const std::string& mask) {
  std::uint32_t bits = 0;
  const auto parts = split(mask, '.');
  if (parts.size() != 4) return std::nullopt;
  for (const std::string& part : parts) {
    unsigned number = 0;
    const char* end = part.data() + part.size();
    if (std::from_chars(part.data(), end, number).ptr != end || number > 255) return std::nullopt;
    bits = bits << 8 | number;
  }
  const auto ones = static_cast<unsigned>(std::countl_one(bits));
  if (ones < 32 && bits << ones != 0) return std::nullopt;
  return ones;
}

/// The fields behind the user: address, perhaps mask, method.
Result<void> read_rest(std::span<const std::string> rest, HbaRule& rule) {
  if (rule.type != "local" && !rest.empty()) {
    rule.address = rest.front();
    rest = rest.subspan(1);
    if (rest.size() > 1 && rule.address.find('/') == std::string::npos) {
      if (const auto prefix = prefix_of_mask(rest.front())) {
        rule.address += "/" + std::to_string(*prefix);
        rest = rest.subspan(1);
      }
    }
  }
  if (rest.empty()) return failure("expected type, database, user, address and method");
  rule.method = rest.front();
  return {};
}

}  // namespace

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (const auto part = trimmed(text.substr(0, end)); !part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

Result<std::vector<Entry>> read_ini(const std::string& path, const Environment& environment) {
  IniReader reader(environment);
  if (const Result<void> done = reader.read(path, 0); !done) return done.error();
  return std::move(reader.entries);
}

Result<std::vector<Pair>> parse_connect_string(std::string_view text) {
  std::vector<Pair> pairs;
  while (!(text = trimmed(text)).empty()) {
    Pair pair;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) return failure("expected key=value pairs");
    pair.key = trimmed(text.substr(0, equals));
    if (pair.key.empty() || pair.key.find_first_of(kSpace) != std::string::npos) {
      return failure("expected key=value pairs");
    }
    text = trimmed(text.substr(equals + 1));
    if (text.starts_with('\'')) {
      auto quoted = take_quoted(text, '\'');
      if (!quoted) return failure("the closing quotation mark is missing");
      pair.value = std::move(*quoted);
    } else {
      const std::size_t end = std::min(text.find_first_of(kSpace), text.size());
      pair.value = text.substr(0, end);
      text.remove_prefix(end);
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

Result<std::vector<ListedUser>> parse_user_list(std::string_view text, const std::string& path) {
  std::vector<ListedUser> users;
  const auto done = for_each_line(text, [&](std::string_view line, std::size_t number) {
    ListedUser user{place_of(path, number), {}, {}};
    // As in PgBouncer, only what begins with a quotation mark is looked at.
    if (!line.starts_with('"')) return Result<void>();
    auto name = take_quoted(line);
    line = trimmed(line);
    if (!name || !line.starts_with('"')) {
      return Result<void>(failure(user.place + ": expected \"user\" \"password\""));
    }
    auto secret = take_quoted(line);
    if (!secret) {
      return Result<void>(failure(user.place + ": the closing quotation mark is missing"));
    }
    user.name = std::move(*name);
    user.secret = std::move(*secret);
    users.push_back(std::move(user));
    return Result<void>();
  });
  if (!done) return done.error();
  return users;
}

Result<std::vector<HbaRule>> parse_hba(std::string_view text, const std::string& path) {
  std::vector<HbaRule> rules;
  const auto done = for_each_line(text, [&](std::string_view line, std::size_t number) {
    HbaRule rule{place_of(path, number), {}, {}, {}, {}, {}};
    auto fields = fields_of(line);
    if (!fields) return Result<void>(failure(rule.place + ": " + fields.error().message));
    if (fields->empty()) return Result<void>();
    if (fields->size() < 4) {
      return Result<void>(
          failure(rule.place + ": expected type, database, user, address and method"));
    }
    rule.type = (*fields)[0];
    rule.databases = split((*fields)[1], ',');
    rule.users = split((*fields)[2], ',');
    if (const auto read = read_rest(std::span(*fields).subspan(3), rule); !read) {
      return Result<void>(failure(rule.place + ": " + read.error().message));
    }
    rules.push_back(std::move(rule));
    return Result<void>();
  });
  if (!done) return done.error();
  return rules;
}

}  // namespace forebay::config::pgbouncer
