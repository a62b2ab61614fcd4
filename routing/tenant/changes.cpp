#include <algorithm>

#include "routing/tenant/judge.hpp"

// Statements that write: whose rows they may touch, and whose they make.

namespace forebay::tenant {

using sql::as;
using sql::bytes_or_empty;

namespace {

/// `table.column`.
bool is_column(Node* value, Bytes table, Bytes column) noexcept {
  if (value == nullptr || nodeTag(value) != T_ColumnRef) return false;
  List* const fields = as<ColumnRef>(value)->fields;
  return list_length(fields) == 2 && nodeTag(static_cast<Node*>(llast(fields))) == T_String &&
         table == strVal(linitial(fields)) && column == strVal(llast(fields));
}

/// Which column of `AS alias (names)` this is, alone or behind the alias; -1 for none, or for more
/// than one.
int column_among(Node* value, Alias* alias) noexcept {
  if (value == nullptr || alias == nullptr || nodeTag(value) != T_ColumnRef) return -1;
  List* const fields = as<ColumnRef>(value)->fields;
  const int count = list_length(fields);
  if (nodeTag(static_cast<Node*>(llast(fields))) != T_String) return -1;
  if (count > 2 || (count == 2 && Bytes(strVal(linitial(fields))) != alias->aliasname)) return -1;
  int found = -1;
  for (int i = 0; i < list_length(alias->colnames); ++i) {
    if (Bytes(strVal(list_nth(alias->colnames, i))) != strVal(llast(fields))) continue;
    if (found >= 0) return -1;
    found = i;
  }
  return found;
}

/// SELECT * and nothing else.
bool is_all(List* targets) noexcept {
  if (list_length(targets) != 1) return false;
  auto* target = static_cast<ResTarget*>(linitial(targets));
  if (target->val == nullptr || nodeTag(target->val) != T_ColumnRef) return false;
  List* const fields = as<ColumnRef>(target->val)->fields;
  return list_length(fields) == 1 && nodeTag(static_cast<Node*>(linitial(fields))) == T_A_Star;
}

/// unnest(a, b ...), of which each argument is a column.
FuncCall* unnested(RangeFunction* function) noexcept {
  if (function->lateral || function->ordinality || function->is_rowsfrom ||
      function->coldeflist != nullptr || list_length(function->functions) != 1) {
    return nullptr;
  }
  auto* first = static_cast<Node*>(linitial(static_cast<List*>(linitial(function->functions))));
  if (nodeTag(first) != T_FuncCall) return nullptr;
  auto* call = as<FuncCall>(first);
  const bool plain = call->agg_order == nullptr && call->agg_filter == nullptr &&
                     call->over == nullptr && !call->agg_within_group && !call->agg_star &&
                     !call->agg_distinct && !call->func_variadic;
  const bool named =
      list_length(call->funcname) == 1 && Bytes(strVal(linitial(call->funcname))) == "unnest";
  return plain && named ? call : nullptr;
}

/// Types of one column each, as the grammar or PostgreSQL calls them.
bool is_scalar(const TypeName* type) noexcept {
  const int parts = list_length(type->names);
  if (parts == 2 && Bytes(strVal(linitial(type->names))) != "pg_catalog") return false;
  constexpr Bytes kNames[] = {"text", "uuid", "json", "jsonb", "date", "bytea", "inet", "cidr"};
  // What the grammar has words for; every relation of pg_catalog is a type there, too.
  constexpr Bytes kWords[] = {"bit",         "bool",   "bpchar",   "float4",  "float8", "int2",
                              "int4",        "int8",   "interval", "numeric", "time",   "timestamp",
                              "timestamptz", "timetz", "varbit",   "varchar"};
  const auto has = [name = Bytes(strVal(llast(type->names)))](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  return (parts <= 2 && has(kNames)) || (parts == 2 && has(kWords));
}

}  // namespace

/// Stands for any number of columns.
bool Judge::is_star(Node* value) noexcept {
  if (value == nullptr) return false;
  List* fields = nodeTag(value) == T_ColumnRef       ? as<ColumnRef>(value)->fields
                 : nodeTag(value) == T_A_Indirection ? as<A_Indirection>(value)->indirection
                                                     : nullptr;
  return fields != nullptr && nodeTag(static_cast<Node*>(llast(fields))) == T_A_Star;
}

bool Judge::has_star(List* values) noexcept {
  for (int i = 0; i < list_length(values); ++i) {
    if (is_star(static_cast<Node*>(list_nth(values, i)))) return true;
  }
  return false;
}

Judge::Level& Judge::target_level(RangeVar* range, const Names* inside, const Item& item) {
  Level& level = new_level(item);
  level.names = nullptr;  // a name of WITH never hides the target
  relation(range, level);
  level.names = inside;
  return level;
}

// ---------------------------------------------------------------- INSERT

void Judge::insert(InsertStmt* insert, const Item& item) {
  const Names* inside = open_with(insert->withClause, item.names, item.level);
  Level& level = target_level(insert->relation, inside, item);
  Leaf& target = level.leaves.front();
  target.bound = true;  // what comes out of it was put in by this statement
  Wanted wanted{};
  if (target.mode != Mode::off) {
    wanted = {true, 0, target.table, target.mode};
    if (!column_place(insert->cols, target, wanted.column)) wanted.is = false;
    if (insert->selectStmt == nullptr) {
      finding(target.mode, target.table, "DEFAULT VALUES gives no \"" + policy_.column + "\"");
    }
  }
  push(insert->selectStmt, inside, item.level, wanted);
  push(insert->cols, inside, &level);
  push(insert->returningList, inside, &level);
  if (insert->onConflictClause != nullptr) conflict(insert->onConflictClause, level);
}

/// Which of the columns is the tenant's.
bool Judge::column_place(List* columns, const Leaf& target, std::size_t& place) {
  for (int i = 0; i < list_length(columns); ++i) {
    auto* column = static_cast<ResTarget*>(list_nth(columns, i));
    if (policy_.column != column->name || column->indirection != nullptr) continue;
    place = static_cast<std::size_t>(i);
    return true;
  }
  finding(target.mode, target.table,
          "INSERT must name its columns, \"" + policy_.column + "\" among them");
  return false;
}

/// The row in the way may be another tenant's, unless the index has the tenant in it.
void Judge::conflict(OnConflictClause* clause, Level& level) {
  Node* const infer = reinterpret_cast<Node*>(clause->infer);
  push_condition(infer, level.names, &level);
  if (clause->action != ONCONFLICT_UPDATE) return;
  // The row that was to be put in: its values are looked at elsewhere.
  Leaf row = level.leaves.front();
  row.name = "excluded";
  row.schema = {};
  row.bound = true;
  level.leaves.push_back(row);
  push(clause->targetList, level.names, &level);
  push_condition(clause->whereClause, level.names, &level);
  Leaf& target = level.leaves.front();
  if (target.mode == Mode::off) return;
  assigned(clause->targetList, target, &row);
  for (int i = 0; infer != nullptr && i < list_length(clause->infer->indexElems); ++i) {
    auto* element = static_cast<IndexElem*>(list_nth(clause->infer->indexElems, i));
    if (policy_.column == bytes_or_empty(element->name)) return;
  }
  target.bound = false;
  const Range first{0, 1};
  conditions(clause->whereClause, level, {0, level.leaves.size()}, first, {});
  const bool same = std::any_of(level.edges.begin(), level.edges.end(),
                                [](const auto& edge) { return edge.from == 1 && edge.to == 0; });
  if (!target.bound && !same) {
    finding(target.mode, target.table,
            "ON CONFLICT DO UPDATE may find another tenant's row: name \"" + policy_.column +
                "\" among the columns of the conflict, or compare it in WHERE");
  }
  target.bound = true;
}

void Judge::rows(List* lists, const Wanted& wanted) {
  for (int i = 0; i < list_length(lists); ++i) {
    auto* row = static_cast<List*>(list_nth(lists, i));
    if (static_cast<std::size_t>(list_length(row)) <= wanted.column || has_star(row)) {
      finding(wanted.mode, wanted.table, "a row gives no \"" + policy_.column + "\"");
      continue;
    }
    cell(static_cast<Node*>(list_nth(row, static_cast<int>(wanted.column))), wanted);
  }
}

/// Rows that stand in FROM, alone: (VALUES ...) AS alias (names), or unnest of arrays.
bool Judge::made_here(SelectStmt* select, const Wanted& wanted) {
  if (list_length(select->fromClause) != 1) return false;
  auto* source = static_cast<Node*>(linitial(select->fromClause));
  if (nodeTag(source) == T_RangeFunction) {
    FuncCall* const call = unnested(as<RangeFunction>(source));
    if (call == nullptr || !is_all(select->targetList) ||
        static_cast<std::size_t>(list_length(call->args)) <= wanted.column) {
      return false;
    }
    for (std::size_t i = 0; i < wanted.column; ++i) {
      auto* before = static_cast<Node*>(list_nth(call->args, static_cast<int>(i)));
      if (nodeTag(before) != T_TypeCast || !is_scalar(as<TypeCast>(before)->typeName)) return false;
    }
    std::vector<Place> places;
    auto* array = static_cast<Node*>(list_nth(call->args, static_cast<int>(wanted.column)));
    if (nodeTag(array) != T_TypeCast || !array_places(array, places)) return false;
    for (const Place& place : places) add_place(place, wanted.table, wanted.mode);
    return true;
  }
  if (nodeTag(source) != T_RangeSubselect || as<RangeSubselect>(source)->lateral) return false;
  auto* query = as<SelectStmt>(as<RangeSubselect>(source)->subquery);
  if (query->op != SETOP_NONE || query->valuesLists == nullptr) return false;
  if (static_cast<std::size_t>(list_length(select->targetList)) <= wanted.column) return false;
  for (std::size_t i = 0; i < wanted.column; ++i) {
    auto* before = static_cast<ResTarget*>(list_nth(select->targetList, static_cast<int>(i)));
    if (is_star(before->val)) return false;
  }
  Node* value =
      static_cast<ResTarget*>(list_nth(select->targetList, static_cast<int>(wanted.column)))->val;
  if (value != nullptr && nodeTag(value) == T_TypeCast) {
    if (!keeps_value(as<TypeCast>(value)->typeName)) return false;
    value = as<TypeCast>(value)->arg;
  }
  const int column = column_among(value, as<RangeSubselect>(source)->alias);
  if (column < 0) return false;
  Wanted inside = wanted;
  inside.column = static_cast<std::size_t>(column);
  inside.rule = Place::Rule::text;
  rows(query->valuesLists, inside);
  return true;
}

void Judge::selected(SelectStmt* select, const Level& level, const Wanted& wanted) {
  if (made_here(select, wanted)) return;
  List* const targets = select->targetList;
  const auto not_shown = [&] {
    finding(wanted.mode, wanted.table,
            "the value for \"" + policy_.column + "\" is not shown to be the tenant's");
  };
  if (static_cast<std::size_t>(list_length(targets)) <= wanted.column) return not_shown();
  for (std::size_t i = 0; i < wanted.column; ++i) {
    auto* before = static_cast<ResTarget*>(list_nth(targets, static_cast<int>(i)));
    if (is_star(before->val)) return not_shown();
  }
  auto* value = static_cast<ResTarget*>(list_nth(targets, static_cast<int>(wanted.column)))->val;
  Place place;
  if (place_of(value, place)) {
    add_place(place, wanted.table, wanted.mode);
    return;
  }
  // Merged by an outer join, it may be the other side's.
  const bool qualified =
      nodeTag(value) == T_ColumnRef && list_length(as<ColumnRef>(value)->fields) > 1;
  if (level.merged && !qualified) return not_shown();
  const auto columns = columns_of(value, level, {0, level.leaves.size()});
  const bool bound = std::all_of(columns.begin(), columns.end(),
                                 [&](std::size_t i) { return level.leaves[i].bound; });
  if (columns.empty() || !bound) not_shown();
}

// ---------------------------------------------------------------- UPDATE, DELETE, MERGE

/// SET: the tenant column may only be given the value that it has.
void Judge::assigned(List* targets, const Leaf& target, const Leaf* excluded) {
  if (target.mode == Mode::off) return;
  for (int i = 0; i < list_length(targets); ++i) {
    auto* column = static_cast<ResTarget*>(list_nth(targets, i));
    if (policy_.column != bytes_or_empty(column->name)) continue;
    Place place;
    if (column->indirection != nullptr) {
      finding(target.mode, target.table, "\"" + policy_.column + "\" may not be changed");
    } else if (excluded != nullptr && is_column(column->val, excluded->name, policy_.column)) {
      continue;
    } else if (place_of(column->val, place)) {
      add_place(place, target.table, target.mode);
    } else {
      finding(target.mode, target.table, "\"" + policy_.column + "\" may not be changed");
    }
  }
}

void Judge::update(UpdateStmt* update, const Item& item) {
  const Names* inside = open_with(update->withClause, item.names, item.level);
  Level& level = target_level(update->relation, inside, item);
  from(update->fromClause, level);
  const Range all{0, level.leaves.size()};
  conditions(update->whereClause, level, all, all, {});
  settle(level);
  assigned(update->targetList, level.leaves.front());
  push_condition(update->whereClause, inside, &level);
  children(reinterpret_cast<Node*>(update), inside, &level,
           {update->relation, update->fromClause, update->whereClause});
}

void Judge::remove(DeleteStmt* remove, const Item& item) {
  const Names* inside = open_with(remove->withClause, item.names, item.level);
  Level& level = target_level(remove->relation, inside, item);
  from(remove->usingClause, level);
  const Range all{0, level.leaves.size()};
  conditions(remove->whereClause, level, all, all, {});
  settle(level);
  push_condition(remove->whereClause, inside, &level);
  children(reinterpret_cast<Node*>(remove), inside, &level,
           {remove->relation, remove->usingClause, remove->whereClause});
}

/// Rows of the source come out also where the condition finds no row of the target.
void Judge::merge(MergeStmt* merge, const Item& item) {
  const Names* inside = open_with(merge->withClause, item.names, item.level);
  Level& level = target_level(merge->relation, inside, item);
  source(merge->sourceRelation, level, 0);
  const Range first{0, 1};
  conditions(merge->joinCondition, level, {0, level.leaves.size()}, first, {});
  settle(level);
  const Leaf target = level.leaves.front();
  for (int i = 0; i < list_length(merge->mergeWhenClauses); ++i) {
    auto* when = static_cast<MergeWhenClause*>(list_nth(merge->mergeWhenClauses, i));
    if (when->commandType == CMD_UPDATE) assigned(when->targetList, target);
    if (when->commandType != CMD_INSERT || target.mode == Mode::off) continue;
    std::size_t column = 0;
    if (!column_place(when->targetList, target, column)) continue;
    if (static_cast<std::size_t>(list_length(when->values)) <= column || has_star(when->values)) {
      finding(target.mode, target.table, "INSERT gives no \"" + policy_.column + "\"");
      continue;
    }
    cell(static_cast<Node*>(list_nth(when->values, static_cast<int>(column))),
         {true, column, target.table, target.mode});
  }
  push_condition(merge->joinCondition, inside, &level);
  children(reinterpret_cast<Node*>(merge), inside, &level,
           {merge->relation, merge->sourceRelation, merge->joinCondition});
}

// ---------------------------------------------------------------- COPY

void Judge::copy(CopyStmt* copy) {
  if (copy->is_program || copy->filename != nullptr) {
    refuse("COPY from or to files and programs is not for tenants");
  }
  if (copy->relation != nullptr) {
    finding(mode_of(copy->relation, nullptr), bytes_or_empty(copy->relation->relname),
            copy->is_from ? "COPY FROM brings rows that nobody looks at"
                          : "COPY takes all of it: use COPY (SELECT ...) TO STDOUT");
  }
  push(copy->query, nullptr, nullptr);
  push(copy->whereClause, nullptr, nullptr);
}

}  // namespace forebay::tenant
