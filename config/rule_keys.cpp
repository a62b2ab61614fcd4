#include <algorithm>
#include <array>

#include "config/checks.hpp"
#include "config/keys.hpp"
#include "config/types.hpp"

// [[rules]]: their keys, and what must hold within one.
namespace forebay::config {
namespace {

constexpr std::array<std::string_view, 8> kActions = {
    "target", "statement_timeout", "max_statements", "max_replica_lag", "error", "sqlstate", "log",
    "dry_run"};
constexpr std::array<Name<RuleTarget>, 2> kTargets = {
    {{RuleTarget::primary, "primary"}, {RuleTarget::replica, "replica"}}};

/// An array of kinds of statements.
struct Kinds {
  using Held = std::vector<std::string>;

  [[nodiscard]] std::optional<Held> read(const Value& value, Reading& reading) const {
    const Array* elements = value.as<Array>();
    if (elements == nullptr) {
      reading.expected(value, "an array of kinds such as [\"delete\", \"ddl\"]");
      return std::nullopt;
    }
    Held kinds;
    for (const Value& element : *elements) {
      const auto index = read_word(element, reading, kStatementKinds);
      if (!index) return std::nullopt;
      kinds.emplace_back(kStatementKinds[*index]);
    }
    return kinds;
  }
  [[nodiscard]] std::string show(const Held& kinds) const { return Texts{}.show(kinds); }
  [[nodiscard]] std::string hint() const { return {}; }
};

struct RegularExpression {
  using Held = Pattern;

  [[nodiscard]] std::optional<Pattern> read(const Value& value, Reading& reading) const {
    const auto text = Text{"(?i)from\\\\s+orders"}.read(value, reading);
    if (!text) return std::nullopt;
    auto pattern = Pattern::compile(*text);
    if (pattern.has_error()) {
      reading.refuse(value.at,
                     "this is no regular expression as RE2 takes them: " + pattern.error().message);
      return std::nullopt;
    }
    return std::move(*pattern);
  }
  [[nodiscard]] std::string show(const Pattern& pattern) const {
    return config::quoted(pattern.text());
  }
  [[nodiscard]] std::string hint() const { return {}; }
};

Keys<Rule> session_keys() {
  using R = Rule;
  return {
      key("", "name", Effect::at_once, &R::name, Text{"no_deletes"},
          "Its name in SHOW RULES, metrics, logs and errors; no two rules have the same."),
      key("", "databases", Effect::at_once, &R::databases, Texts{"[\"app\"]"},
          "Only for clients of these databases, by the names that clients give. Empty: of all; so "
          "it is with what follows."),
      key("", "users", Effect::at_once, &R::users, Texts{"[\"reports\"]"}, "Only for these users."),
      key("", "tenants", Effect::at_once, &R::tenants, Texts{"[\"acme\"]"},
          "Only for sessions of these tenants, as [tenants] says whose they are."),
      key("", "applications", Effect::at_once, &R::applications, Texts{"[\"metabase\"]"},
          "Only while application_name is one of these. It is the client's own word."),
      key("", "addresses", Effect::at_once, &R::addresses, Networks{},
          "Only for clients from these networks, such as [\"10.0.0.0/8\"]; none through Unix "
          "sockets."),
  };
}

Keys<Rule> statement_keys() {
  using R = Rule;
  return {
      key("", "kinds", Effect::at_once, &R::kinds, Kinds{},
          "Only these kinds of statements, such as [\"delete\", \"ddl\"]. What EXPLAIN and PREPARE "
          "have inside counts as well, and so does what WITH, ON CONFLICT, MERGE and COPY do to "
          "rows."),
      key("", "tables", Effect::at_once, &R::tables, Texts{"[\"orders\"]"},
          "Only statements that name one of these tables or views: \"orders\" in every schema, "
          "\"app.orders\" in that one, or where the statement names none."),
      key("", "other_tables", Effect::at_once, &R::other_tables, Texts{"[\"orders\"]"},
          "Only statements that name a table or view which is none of these, named as statements "
          "write it: \"orders\" is not \"app.orders\". With an error, those that are not listed "
          "are closed. Which table \"orders\" is depends on search_path."),
      key("", "functions", Effect::at_once, &R::functions, Texts{"[\"pg_sleep\"]"},
          "Only statements that call one of these functions, named likewise."),
      key("", "other_functions", Effect::at_once, &R::other_functions, Texts{"[\"lower\"]"},
          "Only statements that call a function which is none of these, named as statements write "
          "it."),
      key("", "statements", Effect::at_once, &R::statements, Texts{"[\"SELECT 1\"]"},
          "Only statements that differ from one of these in nothing but the values of literals, "
          "blanks and comments."),
      key("", "pattern", Effect::at_once, &R::pattern, RegularExpression{},
          "Only texts in which this regular expression (RE2's syntax) finds something, comments "
          "and literals included. Whoever writes the text can write it otherwise: the keys above "
          "cannot be dodged like that."),
      key("", "unknown", Effect::at_once, &R::unknown, Perhaps<Flag>{},
          "Whether what cannot be looked at (texts over 64 KiB, and what is not in PostgreSQL's "
          "grammar) counts as matched, true or false. Left out: true for rules with an error."),
  };
}

Keys<Rule> action_keys() {
  using R = Rule;
  return {
      key("", "target", Effect::at_once, &R::target, Perhaps<Choice<RuleTarget>>{{kTargets}},
          "With split_reads. primary: not to a replica, whatever the statement is. replica: a "
          "SELECT counts as a read, whatever functions it calls; one that writes after all is run "
          "on the primary."),
      key("", "statement_timeout", Effect::at_once, &R::statement_timeout, Time{},
          "How long such a statement may take, in the place of what [pool], its database or its "
          "user say; 0 for as these say. In a batch it holds for what stands behind, too; of "
          "several the shortest."),
      key("", "max_statements", Effect::at_once, &R::max_statements, Count{0, 1'000'000},
          "How many such statements may run at a time, whosever they are; 0 for no limit. What is "
          "more gets an error (53400) and does not wait, since it may be in the middle of a "
          "transaction for whose locks the others wait."),
      key("", "max_replica_lag", Effect::at_once, &R::max_replica_lag, Time{},
          "With split_reads: such a statement goes to a replica only if that is no further behind, "
          "whatever min_read_replicas says; 0 for as [pool], its database or its user say."),
      key("", "error", Effect::at_once, &R::error, Text{"no deletes here"},
          "The statement is refused with this message."),
      key("", "sqlstate", Effect::at_once, &R::sqlstate, Text{"42501"},
          "The error's SQLSTATE; \"\" for 42501 (insufficient_privilege)."),
      key("", "log", Effect::at_once, &R::log, Flag{},
          "Whether each such statement is logged, without the values of its literals."),
      key("", "dry_run", Effect::at_once, &R::dry_run, Flag{},
          "Whether the rule does nothing but count and log, and those after it are looked at."),
  };
}

bool is_action(std::string_view name) {
  return std::ranges::find(kActions, name) != kActions.end();
}

std::string said(const Rule& rule, bool actions) {
  const Rule otherwise;
  std::string text;
  for (const Key<Rule>& key : rule_keys()) {
    if (key.name == "name" || key.name == "dry_run" || is_action(key.name) != actions ||
        key.same(rule, otherwise)) {
      continue;
    }
    text += (text.empty() ? "" : ", ") + std::string(key.name) + " = " + key.show(rule);
  }
  return text;
}

/// An error class of its own: PostgreSQL's 00, 01 and 02 are no errors.
bool is_error_code(std::string_view code) {
  constexpr std::string_view kCharacters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return code.size() == 5 && code.find_first_not_of(kCharacters) == std::string_view::npos &&
         !code.starts_with("00") && !code.starts_with("01") && !code.starts_with("02");
}

}  // namespace

const Keys<Rule>& rule_keys() {
  static const Keys<Rule> keys = [] {
    Keys<Rule> all = session_keys();
    for (Key<Rule>& each : statement_keys()) all.push_back(std::move(each));
    for (Key<Rule>& each : action_keys()) all.push_back(std::move(each));
    return all;
  }();
  return keys;
}

std::string matches_of(const Rule& rule) {
  return said(rule, false);
}

std::string actions_of(const Rule& rule) {
  return said(rule, true);
}

std::string toml_of(const Rule& rule) {
  const Rule otherwise;
  std::string text = "[[rules]]\n";
  for (const Key<Rule>& key : rule_keys()) {
    if (key.same(rule, otherwise)) continue;
    text.append(key.name).append(" = ").append(key.show(rule)).append("\n");
  }
  return text;
}

void check_rule(const Rule& rule, const Table& table, Position at, Problems& problems) {
  const auto error = [&](std::string_view key, const std::string& why) {
    const Member* member = find(table, key);
    problems.error(member == nullptr ? at : member->value.at,
                   "[[rules]] " + (rule.name.empty() ? "" : quoted(rule.name) + " ") +
                       std::string(key) + ": " + why);
  };
  if (rule.name.empty()) error("name", "expected a name, such as name = \"no_deletes\"");
  const bool tries = std::ranges::any_of(table, [](const Member& member) {
    return is_action(member.name) && member.name != "dry_run";
  });
  if (!tries) {
    error("target",
          "the rule does nothing; set target, statement_timeout, max_statements, max_replica_lag, "
          "error or log");
  }
  if (!rule.error.empty() && (rule.target || rule.statement_timeout.count() > 0 ||
                              rule.max_statements > 0 || rule.max_replica_lag.count() > 0)) {
    error("error",
          "what is refused has no target and takes no time; remove target, statement_timeout, "
          "max_statements and max_replica_lag");
  }
  if (rule.target == RuleTarget::primary && rule.max_replica_lag.count() > 0) {
    error("max_replica_lag", "what is for the primary goes to no replica; remove one of the two");
  }
  if (!rule.sqlstate.empty() && rule.error.empty()) {
    error("sqlstate", "there is no error to have it; set error as well");
  } else if (!rule.sqlstate.empty() && !is_error_code(rule.sqlstate)) {
    error("sqlstate",
          "expected five digits and capitals that do not begin with 00, 01 or 02, such as "
          "\"42501\"");
  }
}

}  // namespace forebay::config
