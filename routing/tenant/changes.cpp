#include <algorithm>

#include "routing/tenant/judge.hpp"

// Statements that write: whose rows they may touch, and whose they make.

namespace forebay::tenant {

using sql::as;
using sql::bytes_or_empty;

namespace {

bool is_star(Node* value) noexcept {
  if (value == nullptr) return false;
  List* fields = nodeTag(value) == T_ColumnRef       ? as<ColumnRef>(value)->fields
                 : nodeTag(value) == T_A_Indirection ? as<A_Indirection>(value)->indirection
                                                     : nullptr;
  return fields != nullptr && nodeTag(static_cast<Node*>(llast(fields))) == T_A_Star;
}

}  // namespace

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
  push(infer, level.names, &level);
  if (clause->action != ONCONFLICT_UPDATE) return;
  level.leaves.push_back({.name = "excluded", .schema = {}, .table = {}});
  push(clause->targetList, level.names, &level);
  push(clause->whereClause, level.names, &level);
  Leaf& target = level.leaves.front();
  if (target.mode == Mode::off) return;
  assigned(clause->targetList, target);
  for (int i = 0; infer != nullptr && i < list_length(clause->infer->indexElems); ++i) {
    auto* element = static_cast<IndexElem*>(list_nth(clause->infer->indexElems, i));
    if (policy_.column == bytes_or_empty(element->name)) return;
  }
  target.bound = false;
  const Range first{0, 1};
  conditions(clause->whereClause, level, {0, level.leaves.size()}, first, {});
  if (!target.bound) {
    finding(target.mode, target.table,
            "ON CONFLICT DO UPDATE may find another tenant's row: name \"" + policy_.column +
                "\" among the columns of the conflict, or compare it in WHERE");
  }
  target.bound = true;
}

void Judge::rows(List* lists, const Wanted& wanted) {
  for (int i = 0; i < list_length(lists); ++i) {
    auto* row = static_cast<List*>(list_nth(lists, i));
    if (static_cast<std::size_t>(list_length(row)) <= wanted.column) {
      finding(wanted.mode, wanted.table, "a row gives no \"" + policy_.column + "\"");
      continue;
    }
    cell(static_cast<Node*>(list_nth(row, static_cast<int>(wanted.column))), wanted.column,
         wanted.table, wanted.mode);
  }
}

void Judge::selected(SelectStmt* select, const Level& level, const Wanted& wanted) {
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
  const auto columns = columns_of(value, level, {0, level.leaves.size()});
  const bool bound = std::all_of(columns.begin(), columns.end(),
                                 [&](std::size_t i) { return level.leaves[i].bound; });
  if (columns.empty() || !bound) not_shown();
}

// ---------------------------------------------------------------- UPDATE, DELETE, MERGE

/// SET: the tenant column may only be given the value that it has.
void Judge::assigned(List* targets, const Leaf& target) {
  if (target.mode == Mode::off) return;
  for (int i = 0; i < list_length(targets); ++i) {
    auto* column = static_cast<ResTarget*>(list_nth(targets, i));
    if (policy_.column != bytes_or_empty(column->name)) continue;
    Place place;
    if (column->indirection == nullptr && place_of(column->val, place)) {
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
  children(reinterpret_cast<Node*>(update), inside, &level, {update->relation, update->fromClause});
}

void Judge::remove(DeleteStmt* remove, const Item& item) {
  const Names* inside = open_with(remove->withClause, item.names, item.level);
  Level& level = target_level(remove->relation, inside, item);
  from(remove->usingClause, level);
  const Range all{0, level.leaves.size()};
  conditions(remove->whereClause, level, all, all, {});
  settle(level);
  children(reinterpret_cast<Node*>(remove), inside, &level,
           {remove->relation, remove->usingClause});
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
    if (static_cast<std::size_t>(list_length(when->values)) <= column) {
      finding(target.mode, target.table, "INSERT gives no \"" + policy_.column + "\"");
      continue;
    }
    cell(static_cast<Node*>(list_nth(when->values, static_cast<int>(column))), column, target.table,
         target.mode);
  }
  children(reinterpret_cast<Node*>(merge), inside, &level,
           {merge->relation, merge->sourceRelation});
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
