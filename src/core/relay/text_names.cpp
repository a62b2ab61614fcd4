#include "core/relay/text_names.hpp"

#include <algorithm>

#include "forebay/protocol/postgres/message_table.hpp"

namespace forebay::core {
namespace {

using StepKind = SessionStep::Kind;

Bytes significant(Bytes name) {
  return name.substr(0, pg::kNameMax);
}

}  // namespace

const TextNames::Meaning TextNames::kGone{};

const TextNames::Meaning* TextNames::find(Bytes name) const {
  const auto found = std::find_if(
      meanings_.rbegin(), meanings_.rend(),
      [&](const Meaning& meaning) { return significant(meaning.name) == significant(name); });
  if (found != meanings_.rend()) return &*found;
  return all_gone_ ? &kGone : nullptr;
}

bool TextNames::held(const StatementRef& statement, LinkStatements& link) const {
  const bool before = link.use(statement) && !all_gone_;
  return before || std::find(made_.begin(), made_.end(), statement) != made_.end();
}

void TextNames::passed(const SessionStep& step) {
  switch (step.kind) {
    case StepKind::prepare:
      if (!step.prepared) return;
      meanings_.push_back({step.name, step.prepared, step.inner});
      made_.push_back(step.prepared);
      return;
    case StepKind::deallocate:
      meanings_.push_back({step.name, {}, nullptr});
      return;
    case StepKind::deallocate_all:
    case StepKind::discard_all:
      meanings_.clear();
      made_.clear();
      all_gone_ = true;
      return;
    case StepKind::execute:
      if (!step.runs || step.inner == nullptr) return;
      for (const SessionStep& inner : step.inner->steps) passed(inner);
      return;
    default:
      return;
  }
}

}  // namespace forebay::core
