#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/relay/prepared_statements.hpp"
#include "core/relay/session_work.hpp"

namespace forebay::core {

/// Deallocated in the place of a statement that other clients share.
inline constexpr std::string_view kGoneName = "_forebay_gone";
/// Prepared in the place of a name that the client has already. Nobody executes it: whatever stands
/// there in the end is no other client's trouble.
inline constexpr std::string_view kTakenName = "_forebay_taken";

/// What names of prepared statements mean in the course of a text of several statements, which is
/// sent as a whole: what stands in it before them has prepared and deallocated some.
class TextNames {
 public:
  struct Meaning {
    std::string name;
    StatementRef statement;  ///< null: it was deallocated
    SessionWorkRef work;     ///< what executing it does
  };

  /// What the text has made of the name so far; null where it means what it did before the text.
  [[nodiscard]] const Meaning* find(Bytes name) const;
  /// Whether the server connection has the statement when it comes to this place in the text.
  [[nodiscard]] bool held(const StatementRef& statement, LinkStatements& link) const;
  /// The text goes on behind this step.
  void passed(const SessionStep& step);

 private:
  static const Meaning kGone;
  std::vector<Meaning> meanings_;   ///< of a name the last one holds
  std::vector<StatementRef> made_;  ///< by the text
  bool all_gone_ = false;
};

}  // namespace forebay::core
