#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "forebay/base/bytes.hpp"

namespace forebay::core {

/// How many, in UTF-8; in other encodings of the server's too many at worst.
std::int32_t characters(Bytes text);

/// So many characters are in front of what `apart` makes of `behind`.
std::int32_t front_of(Bytes before, Bytes behind);

/// As a string constant, whatever standard_conforming_strings is.
std::string quoted_literal(Bytes text);

/// As an identifier, with quotes where it needs them.
std::string quoted_identifier(Bytes name);

/// With a blank in front of it where it would run into a word before it: what stands behind a
/// quoted name needs none.
std::string apart(Bytes text);

/// A text with some places replaced, which are given from the front to the back.
class TextEdits {
 public:
  explicit TextEdits(Bytes original) : original_(original) {}

  [[nodiscard]] Bytes original() const noexcept { return original_; }
  [[nodiscard]] bool empty() const noexcept { return places_.empty(); }

  /// Puts `by` in the place of the bytes from `begin` to `end`.
  void replace(std::uint32_t begin, std::uint32_t end, std::string_view by);
  /// The same for a name, which keeps apart from the words around it: of quoted ones it needs not.
  void replace_name(std::uint32_t begin, std::uint32_t end, std::string_view by);
  /// The text as edited.
  [[nodiscard]] std::string text() const;
  /// Where positions in the edited text, counted in characters from 1, are further on than in the
  /// original: from which position, by how many.
  [[nodiscard]] std::vector<std::pair<std::uint32_t, std::int32_t>> shifts() const;
  /// How far what is behind so many bytes of the original has moved, in characters.
  [[nodiscard]] std::int32_t moved(std::uint32_t end) const;

 private:
  struct Place {
    std::uint32_t begin;
    std::uint32_t end;
    std::string by;
  };
  Bytes original_;
  std::vector<Place> places_;
};

}  // namespace forebay::core
