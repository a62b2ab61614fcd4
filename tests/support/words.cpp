#include "support/words.hpp"

#include <stdexcept>

namespace forebay::test {
namespace {

[[noreturn]] void unreadable(std::string_view text, const std::string& why) {
  throw std::runtime_error(why + " in: " + std::string(text));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Reads a text one character after another.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[at_]; }
  char next() {
    if (at_end()) unreadable(text_, "the text ends too early");
    return text_[at_++];
  }
  void skip_blanks() {
    while (!at_end() && (peek() == ' ' || peek() == '\t')) ++at_;
  }

  std::string quoted() {
    std::string value;
    next();
    for (char c = next(); c != '"'; c = next()) value.push_back(c == '\\' ? escaped() : c);
    return value;
  }

  std::string bare() {
    std::string value;
    while (!at_end() && std::string_view(" \t;=\"").find(peek()) == std::string_view::npos) {
      value.push_back(next());
    }
    if (value.empty()) unreadable(text_, std::string("unexpected '") + peek() + "'");
    return value;
  }

 private:
  char escaped() {
    const char c = next();
    switch (c) {
      case 'n':
        return '\n';
      case 't':
        return '\t';
      case '0':
        return '\0';
      case 'x': {
        const int high = hex_digit(next());
        const int low = hex_digit(next());
        if (high < 0 || low < 0) unreadable(text_, "\\x without two hex digits");
        return static_cast<char>(16 * high + low);
      }
      default:
        return c;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Word scan_word(Scanner& in) {
  Word word;
  if (in.peek() == '"') {
    word.text = in.quoted();
    word.quoted = true;
    return word;
  }
  word.text = in.bare();
  if (in.peek() != '=') return word;
  in.next();
  word.name = std::move(word.text);
  word.quoted = in.peek() == '"';
  word.text = word.quoted ? in.quoted() : in.bare();
  return word;
}

}  // namespace

std::vector<Words> split(std::string_view text) {
  std::vector<Words> messages;
  Scanner in(text);
  Words words;
  for (in.skip_blanks(); !in.at_end(); in.skip_blanks()) {
    if (in.peek() != ';') {
      words.push_back(scan_word(in));
      continue;
    }
    in.next();
    if (words.empty()) unreadable(text, "nothing before ';'");
    messages.push_back(std::move(words));
    words.clear();
  }
  if (!words.empty()) messages.push_back(std::move(words));
  return messages;
}

std::string quote(Bytes bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += {'\\', c};
    } else if (c == '\n') {
      text += "\\n";
    } else if (byte < 32 || byte > 126) {
      text += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      text.push_back(c);
    }
  }
  return text + '"';
}

std::string to_string(const Words& words) {
  std::string text;
  for (const Word& word : words) {
    if (!text.empty()) text.push_back(' ');
    if (!word.name.empty()) text += word.name + "=";
    text += word.quoted ? quote(word.text) : word.text;
  }
  return text;
}

bool matches(const Words& message, const Words& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const bool any = !expected[i].quoted && expected[i].name.empty();
    if (any && expected[i].text == "...") return i + 1 == expected.size();
    if (i >= message.size()) return false;
    if (any && expected[i].text == "*") continue;
    if (message[i] != expected[i]) return false;
  }
  return message.size() == expected.size();
}

}  // namespace forebay::test
