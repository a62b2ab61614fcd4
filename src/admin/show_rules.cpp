#include "admin/show.hpp"

// SHOW RULES: rules for single statements, in their order, and how often each was the one.
namespace forebay::admin {
namespace {

constexpr Column kRules[] = {
    {"position", Type::int4}, {"name"}, {"matches"}, {"actions"}, {"dry_run", Type::int4},
    {"hits", Type::int8}};

Rows rules(const View& view) {
  Rows rows;
  for (std::size_t i = 0; view.rules != nullptr && i < view.rules->size(); ++i) {
    const config::Rule& rule = (*view.rules)[i];
    const std::string matches = matches_of(rule);
    rows.push_back({i + 1, rule.name, matches.empty() ? "everything" : matches, actions_of(rule),
                    rule.dry_run ? 1 : 0, view.rules->hits(i).value()});
  }
  return rows;
}

}  // namespace

std::vector<ShowLine> show_rules() {
  return {{"RULES", kRules, rules}};
}

}  // namespace forebay::admin
