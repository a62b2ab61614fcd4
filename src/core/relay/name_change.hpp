#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/relay/prepared_statements.hpp"
#include "core/relay/statement_catalog.hpp"

namespace forebay::core {

/// What a Parse or Close in flight changes about prepared statements. The change is made at once,
/// so that later messages of the same pipeline see it, and undone when the reply shows that it did
/// not happen.
struct NameChange {
  enum class Kind : std::uint8_t {
    client_parse,  ///< the client prepared `name`; undo: it has no such statement
    client_close,  ///< the client closed `name`; undo: it has it again
    link_parse,    ///< the link got `statement`; undo: it lacks it
    link_close,    ///< the link dropped `statement`; undo: it has it again
    reference,     ///< nothing changes; `name` is what the client calls `statement`, for errors
    all_gone,      ///< DEALLOCATE ALL or DISCARD ALL is under way
    told,          ///< the client is told what rows `name`, its `statement`, gives
    asked,         ///< we ask what rows `statement` gives: LinkRelayState::confirming
  };

  Kind kind;
  std::string name;
  StatementRef statement;
  /// The link got the statement by this very message (client_parse), too.
  bool link_got_it = false;
  /// What `name` meant (client_close).
  std::unique_ptr<ClientStatements::Named> closed = nullptr;
};

}  // namespace forebay::core
