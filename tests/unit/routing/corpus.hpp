#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

/// Texts to test with: the checked-in statements, and whatever SQL this machine has.
namespace forebay::test {

/// Statement and expected facts, of corpus/facts.txt: lines "> statement" and "= facts".
struct Expected {
  std::string statement;
  std::string facts;
  int line = 0;
};

inline std::vector<Expected> corpus() {
  std::ifstream file(FOREBAY_CORPUS);
  std::vector<Expected> all;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.starts_with("> ")) all.push_back({line.substr(2), {}, number});
    if (line.starts_with("= ")) all.back().facts = line.substr(2);
  }
  return all;
}

/// Files named *.sql below places where packages put them; none where there are none.
inline std::vector<std::string> sql_files() {
  namespace fs = std::filesystem;
  std::vector<std::string> texts;
  for (const char* place :
       {"/usr/share/postgresql", "/usr/share/postgresql-common", "/usr/share/doc",
        "/usr/lib/python3", "/usr/share/perl5", "/usr/lib/postgresql"}) {
    std::error_code error;
    fs::recursive_directory_iterator files(place, fs::directory_options::skip_permission_denied,
                                           error);
    for (const fs::recursive_directory_iterator end; !error && files != end;
         files.increment(error)) {
      if (files->path().extension() != ".sql") continue;
      std::ifstream file(files->path(), std::ios::binary);
      texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  return texts;
}

/// Parts of large texts, cut at a line's end, so that each is looked at.
inline std::vector<std::string> pieces(const std::string& text, std::size_t size) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = text.size() - at <= size ? text.size() : text.rfind('\n', at + size);
    if (end == std::string::npos || end <= at) end = std::min(text.size(), at + size);
    all.push_back(text.substr(at, end - at));
    at = end;
  }
  return all;
}

/// Bits of SQL that end, begin and hide other bits.
inline const std::vector<std::string>& nasty_bits() {
  static const std::vector<std::string> bits = {"'",
                                                "''",
                                                "\"",
                                                "\"\"",
                                                "$$",
                                                "$a$",
                                                "$1",
                                                "$",
                                                "E'",
                                                "e'\\'",
                                                "U&'",
                                                "U&\"",
                                                "B'",
                                                "X'1",
                                                "N'",
                                                "n'x'",
                                                "\\",
                                                "\\'",
                                                "--",
                                                "-- x\n",
                                                "--\n'",
                                                "/*",
                                                "*/",
                                                "/**/",
                                                "/*/**/*/",
                                                "*",
                                                "/",
                                                "+",
                                                "-",
                                                "+-",
                                                "@-",
                                                "||",
                                                "<=",
                                                ">=",
                                                "<>",
                                                "!=",
                                                "=>",
                                                "::",
                                                ":=",
                                                ":",
                                                "..",
                                                ".",
                                                "1..2",
                                                "1.",
                                                ".5",
                                                "1e5",
                                                "1.5e-3",
                                                "1e",
                                                "0x",
                                                "123",
                                                "(",
                                                ")",
                                                "[",
                                                "]",
                                                ",",
                                                ";",
                                                " ",
                                                "\n",
                                                "\t",
                                                "\r",
                                                "\f",
                                                "in",
                                                " IN (",
                                                "values",
                                                " VALUES (1, 2), (3, 4)",
                                                " IN (1, 'a', $2)",
                                                "null",
                                                "uescape",
                                                " UESCAPE '!'",
                                                "select",
                                                "SELECT ",
                                                "a",
                                                "B",
                                                "é",
                                                "\xff",
                                                "_x",
                                                "?",
                                                "?|",
                                                "#",
                                                "'a'\n'b'",
                                                "'a' --c\n 'b'",
                                                "'a' /*c*/ \n'b'",
                                                "E'a'\n'\\''",
                                                "$a$;$a$",
                                                "begin atomic"};
  return bits;
}

}  // namespace forebay::test
