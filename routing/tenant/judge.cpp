#include "routing/tenant/judge.hpp"

#include <algorithm>
#include <utility>

#include "routing/sql/tree_walk.hpp"
#include "routing/tenant/names.hpp"

namespace forebay::tenant {

using sql::as;
using sql::bytes_or_empty;
using sql::Kind;

namespace {

/// A name may be as long as the text.
constexpr std::size_t kShownMax = 63;

}  // namespace

void Judge::run(Node* node, const sql::Statement& facts) {
  settings(facts);
  statement(node, facts);
  walk();
  if (!effect_.empty()) {
    finding(strictest_, {},
            "the function \"" + std::string(effect_) +
                "\" in a condition may be called for rows of other tenants: call it in the select "
                "list, or in a statement of its own");
  }
  // A value for one table may be what restricts another.
  if (!verdict_.places.empty()) {
    verdict_.places_mode = std::max(verdict_.places_mode, strictest_);
  }
}

/// Names and comparisons are remembered for the first finding only: that one is told.
void Judge::finding(Mode mode, Bytes table, std::string why) {
  if (mode == Mode::off) return;
  Finding& first = mode == Mode::enforce ? verdict_.refused : verdict_.reported;
  if (first.mode != Mode::off) return;
  first = {mode, std::string(table.substr(0, kShownMax)), std::move(why)};
}

// ---------------------------------------------------------------- statements

void Judge::statement(Node* node, const sql::Statement& facts) {
  switch (nodeTag(node)) {
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
      if (!facts.complete) refuse("part of it is not understood");
      push(node, nullptr, nullptr);
      return;
    case T_PrepareStmt:
      verdict_.prepares = true;
      statement(as<PrepareStmt>(node)->query, facts.inner.front());
      return;
    case T_ExplainStmt:
      counts_ = facts.analyze;
      statement(as<ExplainStmt>(node)->query, facts.inner.front());
      return;
    case T_DeclareCursorStmt:
      if (!facts.complete) refuse("part of it is not understood");
      push(as<DeclareCursorStmt>(node)->query, nullptr, nullptr);
      return;
    case T_CopyStmt:
      if (!facts.complete) refuse("part of it is not understood");
      copy(as<CopyStmt>(node));
      return;
    case T_ExecuteStmt:
      if (counts_) refuse("EXPLAIN ANALYZE of EXECUTE counts rows that nobody may see");
      if (as<ExecuteStmt>(node)->params == nullptr) return;
      verdict_.executes.emplace_back(facts.name);
      push(as<ExecuteStmt>(node)->params, nullptr, nullptr);
      return;
    case T_LockStmt:
      for (const sql::Table& table : facts.tables) {
        finding(policy_.mode_of(table.schema, table.name), table.name,
                "LOCK holds up other tenants");
      }
      return;
    default:
      if (!about_session(facts.kind)) {
        refuse("statements such as DDL, DO and CALL hide what they do, and are not for tenants");
      }
      return;
  }
}

bool Judge::about_session(Kind kind) noexcept {
  switch (kind) {
    case Kind::begin:
    case Kind::commit:
    case Kind::rollback:
    case Kind::savepoint:
    case Kind::release:
    case Kind::rollback_to:
    case Kind::set:
    case Kind::reset:
    case Kind::show:
    case Kind::discard:
    case Kind::deallocate:
    case Kind::fetch:
    case Kind::close:
    case Kind::listen:
    case Kind::unlisten:
    case Kind::notify:
    case Kind::set_constraints:
      return true;
    default:
      return false;
  }
}

void Judge::settings(const sql::Statement& facts) {
  for (const sql::Setting& each : facts.settings) setting(each);
  for (const sql::Statement& inner : facts.inner) settings(inner);
}

void Judge::setting(const sql::Setting& setting) {
  using Action = sql::Setting::Action;
  using Value = sql::Value;
  const auto keep = [this](const std::string& name) {
    refuse("the setting \"" + name.substr(0, kShownMax) + "\" is not for tenants to change");
  };
  const auto place = [this](const Value& value, Place::Rule rule) {
    verdict_.places.push_back({Place::Kind::literal, rule, value.negative, value.literal});
    verdict_.places_mode = std::max(verdict_.places_mode, policy_.of_statements());
  };
  if (setting.call) {
    if (setting.name_value.kind == Value::Kind::literal) {
      place(setting.name_value, Place::Rule::setting_name);
    } else if (setting.name_value.kind != Value::Kind::word) {
      refuse("which setting set_config changes must stand in the text");
    }
    return;
  }
  const bool assigns = setting.action == Action::assign;
  if (setting.name == "client_encoding" && setting.action != Action::to_default) {
    const Value value = assigns && setting.values.size() == 1 ? setting.values[0] : Value();
    if (value.kind == Value::Kind::literal) {
      place(value, Place::Rule::encoding);
    } else if (value.kind != Value::Kind::word || !sql::lexable_encoding(value.text)) {
      keep(setting.name);
    }
    return;
  }
  if (setting.action == Action::reset_all || !is_kept_setting(policy_, setting.name)) return;
  const bool who = setting.name == "role" || setting.name == "session_authorization";
  if (who && setting.action == Action::to_default) return;
  const bool standard = setting.name == "standard_conforming_strings" && assigns &&
                        setting.values.size() == 1 && setting.values[0].text == "on";
  if (!standard) keep(setting.name);
}

// ---------------------------------------------------------------- the tree

void Judge::walk() {
  while (!todo_.empty()) {
    const Item item = todo_.back();
    todo_.pop_back();
    visit(item);
  }
}

void Judge::visit(const Item& item) {
  Node* const node = item.node;
  filters_ = item.filters;
  switch (nodeTag(node)) {
    case T_SelectStmt:
      return select(as<SelectStmt>(node), item);
    case T_InsertStmt:
      return insert(as<InsertStmt>(node), item);
    case T_UpdateStmt:
      return update(as<UpdateStmt>(node), item);
    case T_DeleteStmt:
      return remove(as<DeleteStmt>(node), item);
    case T_MergeStmt:
      return merge(as<MergeStmt>(node), item);
    case T_RangeVar:
      return finding(mode_of(as<RangeVar>(node), item.names),
                     bytes_or_empty(as<RangeVar>(node)->relname),
                     "the table is named in a place that is not understood");
    case T_ParamRef:
    case T_TypeName:
      return;
    case T_MergeWhenClause:
      push_condition(as<MergeWhenClause>(node)->condition, item.names, item.level);
      return children(node, item.names, item.level, {as<MergeWhenClause>(node)->condition});
    case T_FuncCall:
      call(as<FuncCall>(node));
      break;
    case T_ColumnRef:
      attribute(as<ColumnRef>(node)->fields, 1);
      break;
    case T_A_Indirection:
      attribute(as<A_Indirection>(node)->indirection, 0);
      break;
    default:
      break;
  }
  if (sql::is_leaf(nodeTag(node))) return;
  if (!sql::walker_knows(nodeTag(node))) {
    refuse("part of it is not understood");
    return;
  }
  children(node, item.names, item.level);
}

void Judge::call(FuncCall* call) {
  const int parts = list_length(call->funcname);
  if (parts > 0) called(strVal(list_nth(call->funcname, parts - 1)));
}

void Judge::called(Bytes name) {
  if (hides_what_it_reads(name)) {
    refuse("the function \"" + std::string(name) + "\" hides what it reads");
  }
  if (filters_ && effect_.empty() && leaves_something(name)) effect_ = name;
}

void Judge::push_condition(void* node, const Names* names, const Level* level) {
  const bool before = std::exchange(filters_, true);
  push(node, names, level);
  filters_ = before;
}

/// x.f and (x).f are f(x), too ("Using Composite Types in Queries").
void Judge::attribute(List* names, int first) {
  for (int i = first; i < list_length(names); ++i) {
    auto* name = static_cast<Node*>(list_nth(names, i));
    if (nodeTag(name) == T_String) called(strVal(name));
  }
}

/// Puts what stands directly below `node` on the list.
void Judge::children(Node* node, const Names* names, const Level* level,
                     std::initializer_list<const void*> skip) {
  inside_ = names;
  level_ = level;
  skip_ = skip;
  // C before prototypes: the walker's type says nothing of the arguments.
  auto* const walker = reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(&push_child));
  raw_expression_tree_walker(node, walker, this);
}

bool Judge::push_child(Node* node, Judge* self) {
  if (node == nullptr || nodeTag(node) == T_WithClause || nodeTag(node) == T_IntoClause) {
    return false;
  }
  if (std::find(self->skip_.begin(), self->skip_.end(), node) == self->skip_.end()) {
    self->push(node, self->inside_, self->level_);
  }
  return false;
}

const Judge::Names* Judge::open_with(WithClause* with, const Names* names, const Level* level) {
  if (with == nullptr) return names;
  const Names* inside = names;
  std::vector<const Names*> before;
  for (int i = 0; i < list_length(with->ctes); ++i) {
    before.push_back(inside);
    auto* query = static_cast<CommonTableExpr*>(list_nth(with->ctes, i));
    inside = &names_.emplace_back(Names{inside, bytes_or_empty(query->ctename)});
  }
  for (int i = 0; i < list_length(with->ctes); ++i) {
    auto* query = static_cast<CommonTableExpr*>(list_nth(with->ctes, i));
    push(query->ctequery, with->recursive ? inside : before[static_cast<std::size_t>(i)], level);
  }
  return inside;
}

Mode Judge::mode_of(RangeVar* range, const Names* names) {
  for (; range->schemaname == nullptr && names != nullptr; names = names->outer) {
    if (names->name == range->relname) return Mode::off;
  }
  const Bytes table = bytes_or_empty(range->relname);
  if (shows_others(table)) {
    refuse("\"" + std::string(table) + "\" shows what belongs to others");
  }
  return policy_.mode_of(bytes_or_empty(range->schemaname), table);
}

}  // namespace forebay::tenant
