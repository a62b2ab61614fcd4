#pragma once

#include <optional>
#include <string>

#include "forebay/base/bytes.hpp"
#include "forebay/routing/sql/shape.hpp"

namespace forebay::core {

/// A statement that says, by the setting that is Forebay's, whose the transaction is.
struct SettingSaid {
  std::string value;
  bool bound = false;  ///< $1 has the value
  bool call = false;   ///< of set_config, which gives a row
  std::string column;  ///< ... by this name
};

/// What a statement says that is nothing else but SET LOCAL of that setting, or SELECT set_config
/// of it for the transaction. Nothing: it is something else, or says it in another way.
std::optional<SettingSaid> setting_said(Bytes text, const sql::Shape& shape, Bytes setting);

/// Of the types of parameters in a Parse, those of such a statement.
bool may_say(const SettingSaid& said, Bytes types) noexcept;

/// Of the formats and values in a Bind, what it says, and whether its row is to be binary; false
/// where they are not for such a statement.
bool take_bound(SettingSaid& said, Bytes values, bool& binary);

}  // namespace forebay::core
