#include <algorithm>

#include "routing/sql/analysis.hpp"
#include "routing/sql/tokens.hpp"

namespace forebay::sql {
namespace {

Value word(Bytes text) {
  Value value;
  value.kind = Value::Kind::word;
  value.text = text;
  return value;
}

/// Whether a constant keeps its text when it is cast to this type, or means the same there.
bool transparent(const TypeName* type, const A_Const* constant) noexcept {
  if (list_length(type->typmods) != 0 || list_length(type->arrayBounds) != 0 || type->setof) {
    return false;
  }
  const Bytes name = strVal(llast(type->names));
  if (constant->isnull) return true;
  const bool string = nodeTag(&constant->val.node) == T_String;
  if (name == "text" || name == "varchar") return string;
  if (nodeTag(&constant->val.node) == T_Float) return false;
  return name == "bool" || name == "int4" || name == "int8" || name == "regclass";
}

/// Functions of PostgreSQL's that give one value, and do nothing, where their arguments are values.
constexpr Bytes kCalm[] = {"current_setting", "current_database", "current_schema",
                           "version",         "pg_backend_pid",   "now",
                           "clock_timestamp", "pg_is_in_recovery"};

bool is_calm(const FuncCall* call) noexcept {
  const int names = list_length(call->funcname);
  if (names > 2 || (names == 2 && Bytes(strVal(linitial(call->funcname))) != "pg_catalog") ||
      call->agg_order != nullptr || call->agg_filter != nullptr || call->over != nullptr ||
      call->agg_within_group || call->agg_star || call->agg_distinct || call->func_variadic) {
    return false;
  }
  for (int i = 0; i < list_length(call->args); ++i) {
    const NodeTag tag = nodeTag(static_cast<Node*>(list_nth(call->args, i)));
    if (tag != T_A_Const && tag != T_ParamRef) return false;
  }
  const Bytes name = strVal(llast(call->funcname));
  return std::find(std::begin(kCalm), std::end(kCalm), name) != std::end(kCalm);
}

TransactionModes::Isolation isolation_of(Bytes name) noexcept {
  using Isolation = TransactionModes::Isolation;
  if (name == "read uncommitted") return Isolation::read_uncommitted;
  if (name == "read committed") return Isolation::read_committed;
  if (name == "repeatable read") return Isolation::repeatable_read;
  return name == "serializable" ? Isolation::serializable : Isolation::unsaid;
}

}  // namespace

bool Analysis::literal_at(std::uint32_t offset, std::uint32_t& index) const noexcept {
  const auto literals = shape_.literals();
  const auto at = std::lower_bound(
      literals.begin(), literals.end(), offset,
      [](const Literal& literal, std::uint32_t wanted) { return literal.span.begin < wanted; });
  // A list begins with its parenthesis, so never where a constant does.
  if (at == literals.end() || at->span.begin != offset) return false;
  index = static_cast<std::uint32_t>(at - literals.begin());
  return true;
}

Value Analysis::constant(A_Const* constant) const {
  if (constant->isnull) return word("null");
  const NodeTag tag = nodeTag(&constant->val.node);
  if (tag == T_Boolean) return word(constant->val.boolval.boolval ? "true" : "false");
  Value value;
  if (constant->location < 0) return value;
  auto offset = static_cast<std::uint32_t>(constant->location);
  if (offset >= text_.size()) return value;
  // A sign is not part of a literal, but the constant begins with it.
  if ((tag == T_Integer || tag == T_Float) && (text_[offset] == '-' || text_[offset] == '+')) {
    value.negative = text_[offset] == '-';
    const char* const end = text_.data() + text_.size();
    const char* const after = blank_end(text_.data() + offset + 1, end);
    if (after == nullptr) return {};
    offset = static_cast<std::uint32_t>(after - text_.data());
  }
  if (literal_at(offset, value.literal)) {
    value.kind = Value::Kind::literal;
    return value;
  }
  // A name where SET takes one as a string: it stays in the key, so it is the same in every text.
  // Anything else without a literal (an element of a folded list) is not known.
  const Class kind = class_of(text_[offset]);
  const bool name = kind == Class::word || kind == Class::prefix || kind == Class::double_quote;
  return tag == T_String && name ? word(constant->val.sval.sval) : Value{};
}

/// No Bind has more (protocol, "Bind").
constexpr int kParametersMax = 65535;

Value Analysis::value_of(Node* node) const {
  if (node == nullptr) return {};
  switch (nodeTag(node)) {
    case T_A_Const:
      return constant(as<A_Const>(node));
    case T_TypeCast: {
      auto* cast = as<TypeCast>(node);
      if (cast->arg == nullptr || nodeTag(cast->arg) != T_A_Const) return {};
      auto* inside = as<A_Const>(cast->arg);
      return transparent(cast->typeName, inside) ? constant(inside) : Value{};
    }
    case T_ParamRef: {
      Value value;
      const int number = as<ParamRef>(node)->number;
      if (number <= 0 || number > kParametersMax) return value;
      value.kind = Value::Kind::parameter;
      value.literal = static_cast<std::uint32_t>(number);
      return value;
    }
    default:
      return {};
  }
}

/// The only literal of a statement that takes no more than one, and says not where it stands.
Value Analysis::first_literal() const {
  const auto literals = shape_.literals();
  const auto at = std::find_if(literals.begin(), literals.end(), [this](const Literal& literal) {
    return literal.span.begin >= where_.begin;
  });
  Value value;
  if (at == literals.end() || at->span.end > where_.end || at->kind == LiteralKind::list) {
    return value;
  }
  value.kind = Value::Kind::literal;
  value.literal = static_cast<std::uint32_t>(at - literals.begin());
  return value;
}

void Analysis::set(VariableSetStmt* statement) {
  using Action = Setting::Action;
  Setting change;
  change.local = statement->is_local ? Truth::yes : Truth::no;
  change.name = lower(bytes_or_empty(statement->name));
  facts_.kind =
      statement->kind == VAR_RESET || statement->kind == VAR_RESET_ALL ? Kind::reset : Kind::set;
  switch (statement->kind) {
    case VAR_SET_VALUE:
      break;
    case VAR_SET_DEFAULT:
    case VAR_RESET:
      change.action = Action::to_default;
      break;
    case VAR_SET_CURRENT:
      change.action = Action::from_current;
      break;
    case VAR_RESET_ALL:
      change.action = Action::reset_all;
      break;
    case VAR_SET_MULTI:
      change.action = change.name == "transaction"            ? Action::transaction
                      : change.name == "transaction snapshot" ? Action::snapshot
                                                              : Action::session_characteristics;
      if (change.action != Action::session_characteristics) change.local = Truth::yes;
      if (change.action != Action::snapshot) modes(statement->args);
      break;
  }
  if (change.action == Action::assign || change.action == Action::snapshot) {
    for (int i = 0; i < list_length(statement->args); ++i) {
      change.values.push_back(value_of(static_cast<Node*>(list_nth(statement->args, i))));
    }
  }
  setting(std::move(change));
}

/// Of BEGIN and SET TRANSACTION. All of it is keywords, which stay in the key.
void Analysis::modes(List* options) noexcept {
  using Choice = TransactionModes::Choice;
  for (int i = 0; i < list_length(options); ++i) {
    const auto* option = static_cast<DefElem*>(list_nth(options, i));
    if (option->arg == nullptr || nodeTag(option->arg) != T_A_Const) continue;
    const auto* value = as<A_Const>(option->arg);
    const Bytes name = option->defname;
    const NodeTag tag = nodeTag(&value->val.node);
    if (name == "transaction_isolation" && tag == T_String) {
      facts_.modes.isolation = isolation_of(value->val.sval.sval);
    } else if (tag == T_Integer) {
      const Choice choice = value->val.ival.ival != 0 ? Choice::yes : Choice::no;
      if (name == "transaction_read_only") facts_.modes.read_only = choice;
      if (name == "transaction_deferrable") facts_.modes.deferrable = choice;
    }
  }
}

// The calls of set_config and of what signals a backend that are columns of a plain query, beside
// nothing but constants, columns and calm functions: beside another function (x.f may be one), and
// with locks that are not waited for, rows may be made that are not given.
void Analysis::find_sure_calls(SelectStmt* select) {
  if (select->op != SETOP_NONE || select->withClause != nullptr || select->limitCount != nullptr ||
      select->limitOffset != nullptr || select->distinctClause != nullptr ||
      select->intoClause != nullptr || select->havingClause != nullptr ||
      select->lockingClause != nullptr) {
    return;
  }
  for (int i = 0; i < list_length(select->targetList); ++i) {
    auto* value = as<ResTarget>(static_cast<Node*>(list_nth(select->targetList, i)))->val;
    const NodeTag tag = value == nullptr ? T_Invalid : nodeTag(value);
    if (tag == T_FuncCall) {
      const auto* call = as<FuncCall>(value);
      const Bytes name = strVal(llast(call->funcname));
      if (name == "set_config" || signals_backend(name)) {
        sure_calls_.push_back(call);
        continue;
      }
      if (is_calm(call)) continue;
    } else if (tag == T_A_Const || tag == T_ParamRef || tag == T_SQLValueFunction ||
               (tag == T_ColumnRef && list_length(as<ColumnRef>(value)->fields) == 1)) {
      continue;
    }
    sure_calls_.clear();
    return;
  }
}

bool Analysis::is_sure(const FuncCall* call) const {
  return std::find(sure_calls_.begin(), sure_calls_.end(), call) != sure_calls_.end();
}

void Analysis::set_config(FuncCall* call) {
  Node* arguments[3] = {};
  for (int i = 0; i < list_length(call->args) && i < 3; ++i) {
    auto* argument = static_cast<Node*>(list_nth(call->args, i));
    int place = i;
    if (nodeTag(argument) == T_NamedArgExpr) {
      auto* named = as<NamedArgExpr>(argument);
      const Bytes name = bytes_or_empty(named->name);
      place = name == "setting_name" ? 0 : name == "new_value" ? 1 : name == "is_local" ? 2 : -1;
      argument = reinterpret_cast<Node*>(named->arg);
    }
    if (place >= 0) arguments[place] = argument;
  }
  Setting change;
  change.call = true;
  change.sure = is_sure(call);
  // With VARIADIC, and with other arguments than PostgreSQL's own function has, all is possible.
  if (!call->func_variadic && list_length(call->args) == 3) {
    change.name_value = value_of(arguments[0]);
    change.values.push_back(value_of(arguments[1]));
    change.local_value = value_of(arguments[2]);
  } else {
    change.values.emplace_back();
  }
  const Value& local = change.local_value;
  change.local = local.kind != Value::Kind::word ? Truth::by_value
                 : local.text == "true"          ? Truth::yes
                                                 : Truth::no;
  setting(std::move(change));
}

}  // namespace forebay::sql
