#include "forebay/routing/rules/rule_set.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

#include "routing/tenant/named.hpp"

namespace forebay::rules {
namespace {

using sql::Kind;
using sql::Statement;

static_assert(std::size(config::kStatementKinds) == static_cast<std::size_t>(Kind::set_constraints),
              "kStatementKinds names each kind behind `unknown`");

constexpr Mask bit(std::size_t i) noexcept {
  return Mask{1} << i;
}

constexpr std::uint64_t bit(Kind kind) noexcept {
  return std::uint64_t{1} << static_cast<unsigned>(kind);
}

bool among(const std::vector<std::string>& names, std::string_view name) {
  return names.empty() || std::ranges::find(names, name) != names.end();
}

std::uint64_t kinds_of(const config::Rule& rule) {
  std::uint64_t kinds = 0;
  for (const std::string& name : rule.kinds) {
    const auto* const at = std::ranges::find(config::kStatementKinds, name);
    kinds |= bit(static_cast<Kind>(at - std::begin(config::kStatementKinds) + 1));
  }
  return kinds;
}

template <class Named>
bool names_one(const std::vector<std::string>& wanted, const std::vector<Named>& named) {
  return std::ranges::any_of(
      named, [&](const Named& each) { return tenant::is_named(wanted, each.schema, each.name); });
}

// Names are as they are written: what a schema is left out of depends on search_path.
template <class Named>
bool names_another(const std::vector<std::string>& known, const std::vector<Named>& named) {
  return std::ranges::any_of(named, [&](const Named& each) {
    const std::string written = each.schema.empty() ? each.name : each.schema + "." + each.name;
    return std::ranges::find(known, written) == known.end();
  });
}

// DROP SCHEMA, VACUUM: what it is about is not among the names.
bool names_not_all(const Statement& statement) noexcept {
  return (statement.kind == Kind::ddl || statement.kind == Kind::utility) &&
         statement.tables.empty() && statement.functions.empty();
}

std::uint32_t next_serial() noexcept {
  static std::atomic<std::uint32_t> last{0};
  return ++last;
}

// The shapes that a rule lists. Their keys do not depend on the seed.
Result<std::vector<std::string>> shapes_of(const config::Rule& rule) {
  std::vector<std::string> shapes;
  sql::Shape shape;
  for (const std::string& text : rule.statements) {
    lex(text, sql::StandardStrings::on, {}, shape);
    if (shape.fault() != sql::ShapeFault::none || shape.key().empty()) {
      return failure("[[rules]] \"" + rule.name + "\" statements: \"" + text +
                     "\" cannot be read as SQL");
    }
    shapes.emplace_back(shape.key());
  }
  return shapes;
}

}  // namespace

std::uint64_t kinds_of(const Statement& statement) noexcept {
  const auto also = [&](std::uint8_t does, Kind kind) {
    return (statement.changes & does) != 0 ? bit(kind) : 0;
  };
  return bit(statement.kind) | also(sql::kInserts, Kind::insert) |
         also(sql::kUpdates, Kind::update) | also(sql::kDeletes, Kind::delete_from) |
         also(sql::kMakesTable, Kind::create_table_as);
}

std::size_t RuleSet::index_of(const config::Rule& rule) const noexcept {
  return static_cast<std::size_t>(
      std::ranges::find_if(rules_, [&](const Ready& ready) { return &ready.said == &rule; }) -
      rules_.begin());
}

bool Hits::enter(std::uint32_t most) noexcept {
  std::uint32_t running = running_.load(std::memory_order_relaxed);
  do {
    if (running >= most) return false;
  } while (!running_.compare_exchange_weak(running, running + 1, std::memory_order_relaxed));
  return true;
}

std::uint64_t Hits::value() const noexcept {
  std::uint64_t sum = 0;
  for (const Part& part : parts_) sum += part.count.load(std::memory_order_relaxed);
  return sum;
}

RuleSet::RuleSet() : serial_(next_serial()) {}

Result<std::shared_ptr<const RuleSet>> RuleSet::make(const std::vector<config::Rule>& rules,
                                                     const RuleSet* before) {
  const std::shared_ptr<RuleSet> set(new RuleSet);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    Ready ready;
    ready.said = rules[i];
    ready.kinds = kinds_of(rules[i]);
    auto shapes = shapes_of(rules[i]);
    if (shapes.has_error()) return shapes.error();
    ready.shapes = std::move(*shapes);
    for (std::size_t j = 0; before != nullptr && j < before->size(); ++j) {
      if ((*before)[j].name == rules[i].name) ready.hits = before->rules_[j].hits;
    }
    if (ready.hits == nullptr) ready.hits = std::make_shared<Hits>();
    if (!rules[i].looks_at_facts() || rules[i].takes_unknown()) set->unknown_ |= bit(i);
    if (rules[i].takes_unknown() || (!rules[i].looks_at_facts() && rules[i].pattern.empty())) {
      set->unread_ |= bit(i);
    }
    if (!rules[i].pattern.empty()) set->patterns_ |= bit(i);
    if (rules[i].statement_timeout.count() > 0 && !rules[i].dry_run) set->timing_ |= bit(i);
    set->rules_.push_back(std::move(ready));
  }
  return std::shared_ptr<const RuleSet>(set);
}

Mask RuleSet::of_session(std::string_view database, std::string_view user, std::string_view tenant,
                         const std::string& address) const {
  const auto parsed = config::parse_ip_address(address);
  const auto comes_from = [&](const std::vector<config::Network>& networks) {
    return networks.empty() ||
           (parsed && std::ranges::any_of(networks, [&](const config::Network& network) {
              return network.contains(*parsed);
            }));
  };
  Mask mask = 0;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const config::Rule& said = rules_[i].said;
    if (concerns(i, database, user) && among(said.tenants, tenant) && comes_from(said.addresses)) {
      mask |= bit(i);
    }
  }
  return mask;
}

bool RuleSet::concerns(std::size_t i, std::string_view database, std::string_view user) const {
  const config::Rule& rule = rules_[i].said;
  return among(rule.databases, database) && among(rule.users, user);
}

Mask RuleSet::of_shape(Bytes text, sql::StandardStrings standard, const sql::Shape& shape,
                       const sql::Facts& facts) const {
  if (!facts.known) return unknown_;
  if (facts.rules_judge == serial_) return facts.rules;
  Mask mask = 0;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const Ready& rule = rules_[i];
    if (!rule.shapes.empty() && !has_shape(rule, text, standard, shape)) continue;
    const config::Rule& said = rule.said;
    const bool any = said.kinds.empty() && said.names_nothing();
    if (any || std::ranges::any_of(facts.statements, [&](const Statement& statement) {
          return matches(rule, statement);
        })) {
      mask |= bit(i);
    }
  }
  facts.rules = mask;
  facts.rules_judge = serial_;
  return mask;
}

bool RuleSet::matches(const Ready& rule, const Statement& statement) {
  if (statement.kind == Kind::unknown && rule.said.takes_unknown()) return true;
  const bool all_seen = statement.complete || !rule.said.takes_unknown();
  const auto names = [&](const std::vector<std::string>& wanted, const auto& named) {
    return wanted.empty() || !all_seen || names_one(wanted, named);
  };
  const auto others = [&](const std::vector<std::string>& known, const auto& named) {
    return known.empty() || !all_seen || names_not_all(statement) || names_another(known, named);
  };
  if ((rule.kinds == 0 || (rule.kinds & kinds_of(statement)) != 0) &&
      names(rule.said.tables, statement.tables) &&
      others(rule.said.other_tables, statement.tables) &&
      names(rule.said.functions, statement.functions) &&
      others(rule.said.other_functions, statement.functions)) {
    return true;
  }
  return std::ranges::any_of(statement.inner,
                             [&](const Statement& inner) { return matches(rule, inner); });
}

// The whole text, or one of the statements in it.
bool RuleSet::has_shape(const Ready& rule, Bytes text, sql::StandardStrings standard,
                        const sql::Shape& shape) {
  if (among(rule.shapes, shape.key())) return true;
  sql::Shape one;
  return std::ranges::any_of(shape.parts(), [&](const sql::Span& part) {
    lex(part.of(text), standard, {}, one);
    return among(rule.shapes, one.key());
  });
}

Mask RuleSet::found_in(Mask mask, Bytes text) const {
  for (Mask left = mask & patterns_; left != 0; left &= left - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(left));
    if (!rules_[i].said.pattern.matches(text)) mask &= ~bit(i);
  }
  return mask;
}

}  // namespace forebay::rules
