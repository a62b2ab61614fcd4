#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "forebay/base/bytes.hpp"

/// Messages as text that anybody who knows the manual can read, and back:
///
///     Parse "s1" "select $1" ; Bind "" "s1" "42" null ; Execute "" ; Sync
///     DataRow "42" ; CommandComplete "SELECT 1" ; ReadyForQuery I
///     ErrorResponse ERROR 42601 "syntax error" P="8"
///
/// In quotes, `\n \t \0 \\ \" \xHH` stand for bytes. `hex 51000000` are bytes as they are.
namespace forebay::test {

/// One word: bare, or what stood in quotes (then with its name, if `name="text"`).
struct Word {
  std::string text;
  std::string name;  ///< of name="text", or name=text
  bool quoted = false;
  bool operator==(const Word&) const = default;
};

using Words = std::vector<Word>;

/// Splits a text into messages at `;`, each into words. Throws std::runtime_error for a text that
/// cannot be read.
std::vector<Words> split(std::string_view text);

/// A text in quotes, so that `split` gives it back.
std::string quote(Bytes bytes);
std::string to_string(const Words& words);

/// The bytes of what clients and servers say after start-up. Throws for what cannot be understood.
std::string frontend(std::string_view text);
std::string backend(std::string_view text);
std::string encode_frontend(const Words& message);
std::string encode_backend(const Words& message);
/// The packets of start-up: `Startup 3.0 user="u" database="d"`, `SSLRequest`, `GSSENCRequest`,
/// `CancelRequest 42 "key"`.
std::string encode_startup(const Words& packet);

/// Takes one whole message off the front of `bytes`; nothing (and no words) when it is not whole.
/// What cannot be decoded comes as `hex ...`.
Words take_frontend(std::string& bytes);
Words take_backend(std::string& bytes);
Words take_startup(std::string& bytes);

/// All messages as text, with " ; " between them; half a message at the end as `+ N bytes`.
std::string frontend_text(std::string bytes);
std::string backend_text(std::string bytes);

/// Whether a message is as expected, where the word `*` stands for any one word and `...` at the
/// end for any further ones.
bool matches(const Words& message, const Words& expected);

}  // namespace forebay::test
