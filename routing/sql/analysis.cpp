#include "routing/sql/analysis.hpp"

#include <algorithm>
#include <utility>

#include "routing/sql/tree_walk.hpp"

namespace forebay::sql {
namespace {

/// Functions whose arguments somebody wants to know.
bool arguments_matter(Bytes name) noexcept {
  if (name.starts_with("pg_advisory_") || name.starts_with("pg_try_advisory_")) return true;
  return name == "nextval" || name == "setval" || name == "currval" || name == "set_config" ||
         signals_backend(name);
}

/// $1 of $1::int.
Node* without_cast(Node* argument) noexcept {
  if (nodeTag(argument) != T_TypeCast) return argument;
  const auto* cast = as<TypeCast>(argument);
  const Bytes type = strVal(llast(cast->typeName->names));
  const bool integer = type == "int2" || type == "int4" || type == "int8";
  return integer && cast->arg != nullptr && nodeTag(cast->arg) == T_ParamRef ? cast->arg : argument;
}

/// Functions that PostgreSQL names so that no column is likely to be called that.
bool is_telling(Bytes name) noexcept {
  return name.starts_with("pg_") || name.starts_with("lo_") || name.starts_with("ts_stat") ||
         name.starts_with("dblink") || name == "nextval" || name == "currval" || name == "setseed";
}

}  // namespace

bool signals_backend(Bytes name) noexcept {
  return name == "pg_terminate_backend" || name == "pg_cancel_backend";
}

bool is_temporary_schema(const char* schema) noexcept {
  const Bytes name = bytes_or_empty(schema);
  return name == "pg_temp" || name.starts_with("pg_temp_");
}

Statement Analysis::run(Node* statement) {
  start(statement);
  walk();
  judge();
  return std::move(facts_);
}

void Analysis::start(Node* node) {
  switch (nodeTag(node)) {
    case T_SelectStmt:
      facts_.kind = Kind::select;
      find_sure_calls(as<SelectStmt>(node));
      break;
    case T_InsertStmt:
      facts_.kind = Kind::insert;
      break;
    case T_UpdateStmt:
      facts_.kind = Kind::update;
      break;
    case T_DeleteStmt:
      facts_.kind = Kind::delete_from;
      break;
    case T_MergeStmt:
      facts_.kind = Kind::merge;
      break;
    default:
      utility(node);
      return;
  }
  facts_.hidden_code = false;
  push(node, nullptr);
}

void Analysis::walk() {
  while (!todo_.empty()) {
    const Item item = todo_.back();
    todo_.pop_back();
    std::size_t before = todo_.size();
    visit(item);
    before = std::min(before, todo_.size());  // it may have given up
    // The list is a stack: what stands first in the text is to come out first.
    std::reverse(todo_.begin() + static_cast<std::ptrdiff_t>(before), todo_.end());
  }
}

void Analysis::visit(const Item& item) {
  Node* const node = item.node;
  switch (nodeTag(node)) {
    case T_SelectStmt:
      return visit_select(as<SelectStmt>(node), item.scope);
    case T_InsertStmt:
      facts_.changes |= kInserts;
      if (as<InsertStmt>(node)->onConflictClause != nullptr) facts_.changes |= kUpdates;
      return visit_change(node, as<InsertStmt>(node)->relation, as<InsertStmt>(node)->withClause,
                          item.scope);
    case T_UpdateStmt:
      facts_.changes |= kUpdates;
      return visit_change(node, as<UpdateStmt>(node)->relation, as<UpdateStmt>(node)->withClause,
                          item.scope);
    case T_DeleteStmt:
      facts_.changes |= kDeletes;
      return visit_change(node, as<DeleteStmt>(node)->relation, as<DeleteStmt>(node)->withClause,
                          item.scope);
    case T_MergeStmt:
      facts_.changes |= kInserts | kUpdates | kDeletes;
      return visit_change(node, as<MergeStmt>(node)->relation, as<MergeStmt>(node)->withClause,
                          item.scope);
    case T_RangeVar: {
      auto* range = as<RangeVar>(node);
      for (const Scope* scope = item.scope; scope != nullptr; scope = scope->outer) {
        if (range->schemaname == nullptr && scope->name == range->relname) return;
      }
      return table(range, Table::Use::read);
    }
    case T_ParamRef:
      facts_.parameters = true;
      return;
    case T_TypeName:
      return type_named(as<TypeName>(node));
    case T_FuncCall:
      function_called(as<FuncCall>(node));
      break;
    case T_ColumnRef:
      return attribute(as<ColumnRef>(node)->fields, 1);
    case T_A_Indirection:
      attribute(as<A_Indirection>(node)->indirection, 0);
      break;
    default:
      break;
  }
  if (is_leaf(nodeTag(node))) return;
  if (!walker_knows(nodeTag(node))) {
    all_seen_ = false;
    return;
  }
  children(node, item.scope);
}

/// Puts what stands directly below `node` on the list.
void Analysis::children(Node* node, const Scope* scope, const void* skip) {
  scope_ = scope;
  skip_ = skip;
  // C before prototypes: the walker's type says nothing of the arguments.
  auto* const walker =
      reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(&Analysis::push_child));
  raw_expression_tree_walker(node, walker, this);
}

bool Analysis::push_child(Node* node, Analysis* self) {
  // WITH has been seen to already, before what can see its names.
  if (node != nullptr && node != self->skip_ && nodeTag(node) != T_WithClause &&
      nodeTag(node) != T_IntoClause) {
    self->push(node, self->scope_);
  }
  return false;
}

const Analysis::Scope* Analysis::open_with(WithClause* with, const Scope* scope) {
  if (with == nullptr) return scope;
  if (too_many(scopes_.size() + static_cast<std::size_t>(list_length(with->ctes)), kQueriesMax)) {
    return scope;
  }
  const Scope* inside = scope;
  std::vector<const Scope*> before;
  for (int i = 0; i < list_length(with->ctes); ++i) {
    before.push_back(inside);
    auto* query = static_cast<CommonTableExpr*>(list_nth(with->ctes, i));
    inside = &scopes_.emplace_back(Scope{inside, bytes_or_empty(query->ctename)});
  }
  for (int i = 0; i < list_length(with->ctes); ++i) {
    auto* query = static_cast<CommonTableExpr*>(list_nth(with->ctes, i));
    const Scope* seen = with->recursive ? inside : before[static_cast<std::size_t>(i)];
    if (query->ctequery != nullptr && nodeTag(query->ctequery) != T_SelectStmt) {
      facts_.writing_cte = true;
    }
    push(query->ctequery, seen);
  }
  return inside;
}

void Analysis::visit_select(SelectStmt* select, const Scope* scope) {
  const Scope* inside = open_with(select->withClause, scope);
  if (select->lockingClause != nullptr) facts_.locking = true;
  if (select->intoClause != nullptr) select_into(select->intoClause);
  children(reinterpret_cast<Node*>(select), inside);
}

void Analysis::visit_change(Node* node, RangeVar* target, WithClause* with, const Scope* scope) {
  write_ = true;
  // A name of WITH never hides the target.
  if (target != nullptr) table(target, Table::Use::write);
  children(node, open_with(with, scope), target);
}

void Analysis::select_into(IntoClause* into) {
  into_ = write_ = true;
  facts_.changes |= kMakesTable;
  created(into->rel);
  if (into->onCommit == ONCOMMIT_DROP) facts_.until_commit = true;
}

/// Gives up on a statement that has more of something than is looked at.
bool Analysis::too_many(std::size_t count, std::size_t most) noexcept {
  if (count <= most) return false;
  all_seen_ = false;
  todo_.clear();
  return true;
}

/// Some parameter may get some value.
void Analysis::any_setting() {
  Setting any;
  any.call = true;
  any.values.emplace_back();
  setting(std::move(any));
}

void Analysis::setting(Setting setting) {
  if (too_many(facts_.settings.size() + 1, kSettingsMax)) return;
  facts_.settings.push_back(std::move(setting));
}

void Analysis::function_called(FuncCall* call) {
  const int parts = list_length(call->funcname);
  if (parts == 0 || too_many(++references_, kReferencesMax)) return;
  Function function;
  function.name = strVal(list_nth(call->funcname, parts - 1));
  if (parts > 1) function.schema = strVal(list_nth(call->funcname, parts - 2));
  if (is_temporary_schema(function.schema.c_str())) facts_.names_temporary = true;
  const bool signals = signals_backend(function.name);
  if (arguments_matter(function.name)) {
    for (int i = 0; i < list_length(call->args); ++i) {
      auto* argument = static_cast<Node*>(list_nth(call->args, i));
      function.arguments.push_back(value_of(signals ? without_cast(argument) : argument));
    }
  }
  if (function.name == "set_config") set_config(call);
  function.sure = signals && is_sure(call);
  const auto& known = facts_.functions;
  // Each call counts where arguments do: a lock taken twice is to be released twice.
  if ((!function.arguments.empty() ||
       std::find(known.begin(), known.end(), function) == known.end()) &&
      !too_many(known.size() + 1, kFunctionsMax)) {
    facts_.functions.push_back(std::move(function));
  }
}

/// x.f and (x).f are f(x), too ("Using Composite Types in Queries"). Of names that a column may
/// have as well, only those count of which somebody wants to know.
void Analysis::attribute(List* names, int first) {
  for (int i = first; i < list_length(names); ++i) {
    auto* name = static_cast<Node*>(list_nth(names, i));
    if (nodeTag(name) != T_String || !is_telling(strVal(name))) continue;
    Function function;
    function.name = strVal(name);
    if (too_many(facts_.functions.size() + 1, kFunctionsMax)) return;
    facts_.functions.push_back(std::move(function));
  }
}

void Analysis::table(RangeVar* range, Table::Use use) {
  if (too_many(++references_, kReferencesMax)) return;
  Table table;
  table.schema = bytes_or_empty(range->schemaname);
  table.name = bytes_or_empty(range->relname);
  if (range->alias != nullptr) table.alias = bytes_or_empty(range->alias->aliasname);
  table.use = use;
  if (is_temporary_schema(range->schemaname)) facts_.names_temporary = true;
  if (use == Table::Use::write && table.name == "pg_settings") {
    any_setting();  // its rule calls set_config for each row that an UPDATE touches
  }
  const auto& known = facts_.tables;
  if (std::find(known.begin(), known.end(), table) == known.end() &&
      !too_many(known.size() + 1, kTablesMax)) {
    facts_.tables.push_back(std::move(table));
  }
}

void Analysis::type_named(TypeName* type) noexcept {
  if (list_length(type->names) > 1 && is_temporary_schema(strVal(linitial(type->names)))) {
    facts_.names_temporary = true;
  }
}

/// What follows from everything that was seen.
void Analysis::judge() {
  facts_.complete = all_seen_;
  if (!all_seen_ && facts_.kind != Kind::prepare) facts_.hidden_code = true;
  const bool quiet = all_seen_ && !write_ && !into_ && !facts_.locking && !facts_.writing_cte;
  switch (facts_.kind) {
    case Kind::select:
    case Kind::copy_out:
    case Kind::declare_cursor:
      facts_.plain_read = quiet && facts_.copy != CopySource::file &&
                          facts_.copy != CopySource::program && !facts_.hold;
      // A row lock writes to the row.
      facts_.may_write = !all_seen_ || write_ || facts_.locking ||
                         facts_.copy == CopySource::file || facts_.copy == CopySource::program;
      break;
    case Kind::explain: {
      const Statement& query = facts_.inner.front();
      facts_.plain_read = facts_.complete && (!facts_.analyze || query.plain_read);
      facts_.may_write = !facts_.complete || (facts_.analyze && query.may_write);
      facts_.hidden_code = !facts_.complete || (facts_.analyze && query.hidden_code);
      break;
    }
    default:
      break;
  }
}

}  // namespace forebay::sql
