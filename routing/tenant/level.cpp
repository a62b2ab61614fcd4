#include <algorithm>
#include <utility>

#include "routing/tenant/judge.hpp"
#include "routing/tenant/named.hpp"

// What a query has in FROM, and which of it is restricted to the tenant.

namespace forebay::tenant {

using sql::as;
using sql::bytes_or_empty;

namespace {

/// Where a value stands in the text; -1 for what is no single value.
int location_of(Node* node) noexcept {
  switch (nodeTag(node)) {
    case T_A_Const:
      return as<A_Const>(node)->location;
    case T_ParamRef:
      return as<ParamRef>(node)->location;
    case T_SetToDefault:
      return as<SetToDefault>(node)->location;
    default:
      return -1;
  }
}

/// The operator is "=", and no schema says whose.
bool is_equals(const A_Expr* expression) noexcept {
  return list_length(expression->name) == 1 && Bytes(strVal(linitial(expression->name))) == "=" &&
         expression->lexpr != nullptr && expression->rexpr != nullptr;
}

bool names_column(List* columns, const std::string& column) noexcept {
  for (int i = 0; i < list_length(columns); ++i) {
    if (column == strVal(list_nth(columns, i))) return true;
  }
  return false;
}

/// Functions of literals and parameters.
bool has_values_only(RangeFunction* function) noexcept {
  for (int i = 0; i < list_length(function->functions); ++i) {
    auto* each = static_cast<Node*>(linitial(static_cast<List*>(list_nth(function->functions, i))));
    if (nodeTag(each) != T_FuncCall) return false;
    List* const values = as<FuncCall>(each)->args;
    for (int j = 0; j < list_length(values); ++j) {
      auto* value = static_cast<Node*>(list_nth(values, j));
      if (nodeTag(value) == T_TypeCast) value = as<TypeCast>(value)->arg;
      if (nodeTag(value) != T_A_Const && nodeTag(value) != T_ParamRef) return false;
    }
  }
  return true;
}

}  // namespace

void Judge::select(SelectStmt* select, const Item& item) {
  const Names* inside = open_with(select->withClause, item.names, item.level);
  if (select->intoClause != nullptr) refuse("SELECT INTO makes a table, which is not for tenants");
  if (select->op != SETOP_NONE) {
    push(select->larg, inside, item.level, item.wanted);
    push(select->rarg, inside, item.level, item.wanted);
    push(select->sortClause, inside, item.level);
    push(select->limitOffset, inside, item.level);
    push(select->limitCount, inside, item.level);
    return;
  }
  Level& level = new_level(item);
  level.names = inside;
  const Range all = from(select->fromClause, level);
  conditions(select->whereClause, level, all, all, {});
  settle(level);
  if (item.wanted.is) {
    if (select->valuesLists != nullptr) {
      rows(select->valuesLists, item.wanted);
    } else {
      selected(select, level, item.wanted);
    }
  }
  // Without FROM there are no rows of others.
  if (!level.leaves.empty() || item.level != nullptr) filters_ = true;
  push(select->whereClause, inside, &level);
  push(select->havingClause, inside, &level);
  filters_ = item.filters;
  children(reinterpret_cast<Node*>(select), inside, &level,
           {select->fromClause, select->whereClause, select->havingClause});
}

// ---------------------------------------------------------------- FROM

Judge::Range Judge::from(List* clause, Level& level) {
  Range all{level.leaves.size(), level.leaves.size()};
  for (int i = 0; i < list_length(clause); ++i) {
    source(static_cast<Node*>(list_nth(clause, i)), level, 0);
  }
  all.end = level.leaves.size();
  return all;
}

Judge::Range Judge::source(Node* node, Level& level, std::size_t depth) {
  const Range none{level.leaves.size(), level.leaves.size(), false};
  const bool before = filters_;
  if (depth > kJoinDepthMax || level.leaves.size() > kLeavesMax) {
    refuse("it has more joins than are looked at");
    return none;
  }
  switch (nodeTag(node)) {
    case T_RangeVar:
      return relation(as<RangeVar>(node), level);
    case T_RangeTableSample: {
      auto* sample = as<RangeTableSample>(node);
      push_condition(sample->args, level.names, &level);
      push_condition(sample->repeatable, level.names, &level);
      return source(sample->relation, level, depth + 1);
    }
    case T_RangeSubselect: {
      auto* query = as<RangeSubselect>(node);
      if (query->lateral) {
        push_condition(query->subquery, level.names, &level);
      } else {
        push(query->subquery, level.names, level.outer);
      }
      return derived(query->alias, {}, level);
    }
    case T_RangeFunction: {
      auto* function = as<RangeFunction>(node);
      filters_ = filters_ || !has_values_only(function);
      children(node, level.names, &level);
      filters_ = before;
      const Range range = derived(function->alias, {}, level);
      if (function->alias == nullptr) name_after_function(function, level.leaves.back());
      return range;
    }
    case T_RangeTableFunc:
      filters_ = true;
      children(node, level.names, &level);
      filters_ = before;
      return derived(as<RangeTableFunc>(node)->alias, "xmltable", level);
    case T_JoinExpr:
      return join(as<JoinExpr>(node), level, depth);
    default:
      refuse("part of FROM is not understood");
      return none;
  }
}

Judge::Range Judge::relation(RangeVar* range, Level& level) {
  Leaf leaf;
  leaf.table = bytes_or_empty(range->relname);
  leaf.mode = mode_of(range, level.names);
  leaf.listed = policy_.lists(bytes_or_empty(range->schemaname), leaf.table);
  if (range->alias != nullptr) {
    leaf.name = bytes_or_empty(range->alias->aliasname);
    if (range->alias->colnames != nullptr && leaf.mode != Mode::off) {
      finding(leaf.mode, leaf.table, "its columns are given other names");
      leaf.mode = Mode::off;
    }
  } else {
    leaf.name = leaf.table;
    leaf.schema = bytes_or_empty(range->schemaname);
  }
  if (counts_) {
    finding(leaf.mode, leaf.table,
            "EXPLAIN ANALYZE counts the rows of other tenants that its conditions drop");
  }
  strictest_ = std::max(strictest_, leaf.mode);
  level.leaves.push_back(leaf);
  return {level.leaves.size() - 1, level.leaves.size()};
}

/// A sub-select, a function, the name of a join.
Judge::Range Judge::derived(Alias* alias, Bytes otherwise, Level& level) {
  Leaf leaf;
  leaf.name = alias == nullptr ? otherwise : bytes_or_empty(alias->aliasname);
  level.leaves.push_back(leaf);
  return {level.leaves.size() - 1, level.leaves.size(), false};
}

/// Without an alias it is called as its function is; what the grammar makes of COALESCE and its
/// like has names that hang on the server's version.
void Judge::name_after_function(RangeFunction* function, Leaf& leaf) {
  auto* first = static_cast<Node*>(linitial(static_cast<List*>(linitial(function->functions))));
  if (nodeTag(first) == T_FuncCall && as<FuncCall>(first)->funcformat == COERCE_EXPLICIT_CALL) {
    leaf.name = strVal(llast(as<FuncCall>(first)->funcname));
  } else {
    leaf.any_name = true;
  }
}

Judge::Range Judge::join(JoinExpr* join, Level& level, std::size_t depth) {
  const Range left = source(join->larg, level, depth + 1);
  const Range right = source(join->rarg, level, depth + 1);
  Range both{left.begin, right.end,
             left.plain && right.plain && join->jointype == JOIN_INNER && join->alias == nullptr};
  switch (join->jointype) {
    case JOIN_INNER:
      conditions(join->quals, level, both, left, right);
      break;
    case JOIN_LEFT:
      // A row of the left side comes out also where the condition does not hold.
      conditions(join->quals, level, both, right, {});
      break;
    case JOIN_RIGHT:
      conditions(join->quals, level, both, left, {});
      break;
    default:
      break;
  }
  push_condition(join->quals, level.names, &level);
  const bool merges = join->isNatural || names_column(join->usingClause, policy_.column);
  if (merges && join->jointype != JOIN_INNER) level.merged = true;
  if (names_column(join->usingClause, policy_.column)) join_using(join, level, left, right);
  if (join->alias != nullptr) {
    for (std::size_t i = both.begin; i < both.end; ++i) level.leaves[i].visible = false;
    derived(join->alias, {}, level);
  }
  if (join->join_using_alias != nullptr) derived(join->join_using_alias, {}, level);
  both.end = level.leaves.size();
  return both;
}

/// USING (tenant_id). The server takes it only if each side has one column of this name: in plain
/// sides, all protected tables there have the same value.
void Judge::join_using(JoinExpr* join, Level& level, const Range& left, const Range& right) {
  if (!left.plain || !right.plain || join->jointype == JOIN_FULL) return;
  if (!unmistakable(level, left) && left.end - left.begin > 1) return;
  if (!unmistakable(level, right) && right.end - right.begin > 1) return;
  for (std::size_t one = left.begin; one < left.end; ++one) {
    for (std::size_t other = right.begin; other < right.end; ++other) {
      if (join->jointype != JOIN_RIGHT) level.edges.push_back({one, other});
      if (join->jointype != JOIN_LEFT) level.edges.push_back({other, one});
    }
  }
}

// ---------------------------------------------------------------- conditions

/// What must hold for each row. Names are those of `seen`; who is in `first` or `second` is
/// restricted by it.
void Judge::conditions(Node* node, Level& level, const Range& seen, const Range& first,
                       const Range& second) {
  std::vector<Node*> all;
  if (node != nullptr) all.push_back(node);
  while (!all.empty()) {
    Node* const each = all.back();
    all.pop_back();
    if (nodeTag(each) == T_BoolExpr && as<BoolExpr>(each)->boolop == AND_EXPR) {
      List* parts = as<BoolExpr>(each)->args;
      for (int i = 0; i < list_length(parts); ++i) {
        all.push_back(static_cast<Node*>(list_nth(parts, i)));
      }
    }
    if (nodeTag(each) != T_A_Expr) continue;
    auto* expression = as<A_Expr>(each);
    if (is_equals(expression)) condition(expression, level, {seen, first, second});
  }
}

/// One comparison by "=". Rows are compared column by column.
void Judge::condition(A_Expr* expression, Level& level, const Sides& sides) {
  Node* const left = expression->lexpr;
  Node* const right = expression->rexpr;
  const auto both_ways = [&](Node* one, Node* other) {
    comparison(one, other, level, sides);
    comparison(other, one, level, sides);
  };
  switch (expression->kind) {
    case AEXPR_OP: {
      if (nodeTag(left) != T_RowExpr || nodeTag(right) != T_RowExpr) {
        return both_ways(left, right);
      }
      List* const these = as<RowExpr>(left)->args;
      List* const those = as<RowExpr>(right)->args;
      if (has_star(these) || has_star(those)) return;
      for (int i = 0; i < std::min(list_length(these), list_length(those)); ++i) {
        both_ways(static_cast<Node*>(list_nth(these, i)), static_cast<Node*>(list_nth(those, i)));
      }
      return;
    }
    case AEXPR_NOT_DISTINCT: {
      // Of columns, both may be null: then it says nothing of the row.
      Place place;
      if (place_of(right, place)) return comparison(left, right, level, sides);
      if (place_of(left, place)) comparison(right, left, level, sides);
      return;
    }
    case AEXPR_IN:
      if (nodeTag(right) == T_List) in_list(left, as<List>(right), level, sides);
      return;
    case AEXPR_OP_ANY: {
      std::vector<Place> places;
      if (array_places(right, places)) one_of(left, places, level, sides);
      return;
    }
    default:
      return;
  }
}

void Judge::in_list(Node* left, List* values, Level& level, const Sides& sides) {
  if (nodeTag(left) != T_RowExpr) {
    std::vector<Place> places;
    if (places_of(values, places)) one_of(left, places, level, sides);
    return;
  }
  List* const names = as<RowExpr>(left)->args;
  if (has_star(names)) return;
  for (int i = 0; i < list_length(names); ++i) {
    auto* name = static_cast<Node*>(list_nth(names, i));
    if (columns_of(name, level, sides.seen).empty()) continue;
    std::vector<Place> places;
    for (int j = 0; j < list_length(values); ++j) {
      auto* row = static_cast<Node*>(list_nth(values, j));
      List* const cells = nodeTag(row) == T_RowExpr ? as<RowExpr>(row)->args : nullptr;
      Place place;
      if (list_length(cells) <= i || has_star(cells) ||
          !place_of(static_cast<Node*>(list_nth(cells, i)), place)) {
        return;
      }
      places.push_back(place);
    }
    one_of(name, places, level, sides);
  }
}

bool Judge::places_of(List* values, std::vector<Place>& places) const {
  for (int i = 0; i < list_length(values); ++i) {
    auto* value = static_cast<Node*>(list_nth(values, i));
    Place place;
    if (list_at(location_of(value), place.index)) {
      place.kind = Place::Kind::list;
    } else if (!place_of(value, place)) {
      return false;
    }
    places.push_back(place);
  }
  return true;
}

/// The elements of ARRAY[...], or of a literal or parameter; perhaps cast to an array of the
/// column's type.
bool Judge::array_places(Node* array, std::vector<Place>& places) const {
  if (nodeTag(array) == T_TypeCast) {
    if (!keeps_value(as<TypeCast>(array)->typeName, true)) return false;
    array = as<TypeCast>(array)->arg;
  }
  if (array != nullptr && nodeTag(array) == T_A_ArrayExpr) {
    return places_of(as<A_ArrayExpr>(array)->elements, places);
  }
  Place place;
  if (array == nullptr || nodeTag(array) == T_TypeCast || !place_of(array, place)) return false;
  place.rule = Place::Rule::elements;
  places.push_back(place);
  return true;
}

void Judge::comparison(Node* one, Node* other, Level& level, const Sides& sides) {
  const auto restricted = columns_of(one, level, sides.seen);
  if (restricted.empty()) return;
  Place place;
  const bool value = place_of(other, place);
  const auto sources = value ? std::vector<std::size_t>() : columns_of(other, level, sides.seen);
  const bool outside = !value && sources.empty() && bound_outside(other, level);
  for (const std::size_t i : restricted) {
    if (!sides.restricts(i)) continue;
    Leaf& leaf = level.leaves[i];
    if (value) add_place(place, leaf.table, leaf.mode);
    if (value || outside) leaf.bound = true;
    if (sources.size() == 1) level.edges.push_back({sources.front(), i});
  }
}

/// tenant_id IN (...), = ANY (...): each value must be the tenant's.
void Judge::one_of(Node* node, const std::vector<Place>& places, Level& level, const Sides& sides) {
  for (const std::size_t i : columns_of(node, level, sides.seen)) {
    if (!sides.restricts(i)) continue;
    Leaf& leaf = level.leaves[i];
    for (const Place& place : places) add_place(place, leaf.table, leaf.mode);
    leaf.bound = leaf.bound || !places.empty();
  }
}

/// Whether each protected table in sight has the column for certain. One that is protected by "*"
/// only may be a view without it, and a name without table would then be another's.
bool Judge::unmistakable(const Level& level, const Range& seen) {
  return std::all_of(
      level.leaves.begin() + static_cast<std::ptrdiff_t>(seen.begin),
      level.leaves.begin() + static_cast<std::ptrdiff_t>(seen.end),
      [](const Leaf& leaf) { return leaf.listed || leaf.mode == Mode::off || !leaf.visible; });
}

/// The protected tables whose tenant column this is; a name without table is, where the server
/// takes it, that of all in sight: they are joined by it.
std::vector<std::size_t> Judge::columns_of(Node* node, const Level& level,
                                           const Range& seen) const {
  std::vector<std::size_t> found;
  if (nodeTag(node) != T_ColumnRef) return found;
  List* const fields = as<ColumnRef>(node)->fields;
  const int count = list_length(fields);
  if (count > 3) return found;
  Bytes names[3];
  for (int i = 0; i < count; ++i) {
    auto* field = static_cast<Node*>(list_nth(fields, i));
    if (nodeTag(field) != T_String) return found;
    names[i] = strVal(field);
  }
  if (names[count - 1] != policy_.column) return found;
  std::size_t named = 0;
  for (std::size_t i = seen.begin; i < seen.end; ++i) {
    const Leaf& leaf = level.leaves[i];
    if (!leaf.visible) continue;
    if (count == 2 && leaf.name != names[0] && !leaf.any_name) continue;
    if (count == 3 && (leaf.schema != names[0] || leaf.name != names[1])) continue;
    ++named;
    if (leaf.mode != Mode::off) found.push_back(i);
  }
  if (count > 1 && named != 1) found.clear();
  if (count == 1 && !unmistakable(level, seen)) {
    bool alone = named == 1;
    for (const Level* each = level.outer; each != nullptr; each = each->outer) {
      alone = alone && each->leaves.empty();
    }
    if (!alone) found.clear();
  }
  return found;
}

/// The tenant column of a query further out. Which one the server finds depends on what it can see
/// from here, so everything of this name must be bound.
bool Judge::bound_outside(Node* node, const Level& level) const {
  if (nodeTag(node) != T_ColumnRef) return false;
  List* const fields = as<ColumnRef>(node)->fields;
  const int count = list_length(fields);
  if (count < 2 || count > 3 || nodeTag(static_cast<Node*>(llast(fields))) != T_String) {
    return false;
  }
  const Bytes name = strVal(list_nth(fields, count - 2));
  const Bytes schema = count == 3 ? strVal(linitial(fields)) : Bytes();
  if (policy_.column != strVal(llast(fields))) return false;
  const auto may_be = [&](const Leaf& leaf) {
    if (count == 2) return leaf.name == name || leaf.any_name;
    return leaf.name == name && (leaf.schema.empty() || leaf.schema == schema);
  };
  bool found = false;
  for (const Level* each = &level; each != nullptr; each = each->outer) {
    for (const Leaf& leaf : each->leaves) {
      if (!may_be(leaf)) continue;
      if (each == &level || leaf.mode == Mode::off || !leaf.bound) return false;
      found = true;
    }
  }
  return found;
}

/// Who is bound makes others so; who is not in the end is found.
void Judge::settle(Level& level) {
  for (bool more = true; more;) {
    more = false;
    for (const Level::Edge& edge : level.edges) {
      Leaf& to = level.leaves[edge.to];
      if (to.bound || to.mode == Mode::off || !level.leaves[edge.from].bound) continue;
      to.bound = more = true;
    }
  }
  for (const Leaf& leaf : level.leaves) {
    if (leaf.bound) continue;
    finding(leaf.mode, leaf.table,
            "it is not restricted to the tenant by \"" + policy_.column +
                "\" = value, joined by AND, in WHERE or ON");
  }
}

// ---------------------------------------------------------------- values

bool Judge::keeps_value(const TypeName* type, bool array) const noexcept {
  if (list_length(type->typmods) != 0 || (list_length(type->arrayBounds) == 1) != array ||
      list_length(type->arrayBounds) > 1 || type->setof || type->pct_type ||
      list_length(type->names) > 2) {
    return false;
  }
  if (list_length(type->names) == 2 && Bytes(strVal(linitial(type->names))) != "pg_catalog") {
    return false;
  }
  const Bytes name = strVal(llast(type->names));
  switch (policy_.type) {
    case ColumnType::integer:
      return name == "int2" || name == "int4" || name == "int8";
    case ColumnType::uuid:
      return name == "uuid";
    default:
      return name == "text" || name == "varchar";
  }
}

/// A literal or a parameter, perhaps cast to the column's type.
bool Judge::place_of(Node* node, Place& place) const {
  if (nodeTag(node) == T_TypeCast) {
    if (!keeps_value(as<TypeCast>(node)->typeName)) return false;
    node = as<TypeCast>(node)->arg;
  }
  if (node == nullptr || (nodeTag(node) != T_A_Const && nodeTag(node) != T_ParamRef)) return false;
  const sql::Value value = analysis_.value_of(node);
  if (value.kind == sql::Value::Kind::literal) {
    place.kind = Place::Kind::literal;
  } else if (value.kind == sql::Value::Kind::parameter) {
    place.kind = Place::Kind::parameter;
  } else {
    return false;
  }
  place.index = value.literal;
  place.negative = value.negative;
  return true;
}

/// The folded list that a value stands in.
bool Judge::list_at(int location, std::uint32_t& index) const noexcept {
  const auto literals = shape_.literals();
  const auto behind = std::upper_bound(literals.begin(), literals.end(), location,
                                       [](int wanted, const sql::Literal& each) {
                                         return wanted < static_cast<int>(each.span.begin);
                                       });
  if (location < 0 || behind == literals.begin()) return false;
  const sql::Literal& literal = *(behind - 1);
  if (literal.kind != sql::LiteralKind::list || location >= static_cast<int>(literal.span.end)) {
    return false;
  }
  index = static_cast<std::uint32_t>(behind - 1 - literals.begin());
  return true;
}

void Judge::add_place(const Place& place, Bytes table, Mode mode) {
  if (verdict_.places.size() >= kPlacesMax) {
    finding(mode, table, "it has more values than are looked at");
    return;
  }
  // The rows of a list are one place; a parameter counts as often as it stands in the text.
  const bool again = place.kind == Place::Kind::list && !verdict_.places.empty() &&
                     verdict_.places.back() == place;
  if (!again) verdict_.places.push_back(place);
  if (verdict_.places_table.empty()) verdict_.places_table = table;
  verdict_.places_mode = std::max(verdict_.places_mode, mode);
}

/// A value for the tenant column, in a row that is put into a table.
void Judge::cell(Node* value, const Wanted& wanted) {
  Place place;
  if (list_at(location_of(value), place.index)) {
    place.kind = Place::Kind::list;
    place.column = static_cast<std::uint32_t>(wanted.column);
  } else if (!place_of(value, place)) {
    finding(wanted.mode, wanted.table,
            "the value for \"" + policy_.column + "\" is no literal or parameter");
    return;
  }
  if (nodeTag(value) != T_TypeCast) place.rule = wanted.rule;
  add_place(place, wanted.table, wanted.mode);
}

}  // namespace forebay::tenant
