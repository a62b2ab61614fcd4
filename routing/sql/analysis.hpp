#pragma once

#include <deque>
#include <vector>

#include "forebay/routing/sql/facts.hpp"
#include "routing/sql/raw_tree.hpp"

namespace forebay::sql {

/// The facts of one statement, from its raw parse tree. The tree is walked with a list of what is
/// still to be seen instead of recursion: a client decides how deep it is.
class Analysis {
 public:
  /// `text` and `shape` are those of the whole text; the statement stands in `where`.
  Analysis(Bytes text, const Shape& shape, Span where) noexcept
      : text_(text), shape_(shape), where_(where) {}

  Statement run(Node* statement);

  /// What an argument or the value of a setting refers to.
  Value value_of(Node* node) const;

 private:
  /// Names of WITH that can be seen; the innermost first.
  struct Scope {
    const Scope* outer;
    Bytes name;
  };
  struct Item {
    Node* node;
    const Scope* scope;
  };

  // analysis.cpp: queries
  void start(Node* node);
  void walk();
  void visit(const Item& item);
  void visit_select(SelectStmt* select, const Scope* scope);
  void visit_change(Node* node, RangeVar* target, WithClause* with, const Scope* scope);
  void children(Node* node, const Scope* scope, const void* skip = nullptr);
  const Scope* open_with(WithClause* with, const Scope* scope);
  void function_called(FuncCall* call);
  void attribute(List* names, int first);
  void table(RangeVar* range, Table::Use use);
  void type_named(TypeName* type) noexcept;
  void select_into(IntoClause* into);
  void setting(Setting setting);
  void any_setting();
  bool too_many(std::size_t count, std::size_t most) noexcept;
  void judge();
  void push(void* node, const Scope* scope) {
    if (node != nullptr) todo_.push_back({static_cast<Node*>(node), scope});
  }
  static bool push_child(Node* node, Analysis* self);

  // utility.cpp: everything else
  void utility(Node* node);
  bool session_statement(Node* node);
  bool object_statement(Node* node);
  void definition(Node* node);
  void named_definition(Node* node);
  void renamed_roles(Node* node);
  void transaction(TransactionStmt* statement);
  void discard(DiscardStmt* statement) noexcept;
  void cursor(DeclareCursorStmt* statement);
  void copy(CopyStmt* statement);
  void explain(ExplainStmt* statement);
  bool option_is_on(DefElem* option) const noexcept;
  [[nodiscard]] std::string template_of(List* options) const;
  void inner(Node* node);
  void create_as(CreateTableAsStmt* statement);
  void drop(DropStmt* statement);
  void created(RangeVar* range);
  void created_name(List* name);
  void written(List* ranges);
  void session_only(Kind kind, const char* name);

  // settings.cpp
  void set(VariableSetStmt* statement);
  void modes(List* options) noexcept;
  void set_config(FuncCall* call);
  void find_sure_calls(SelectStmt* select);
  [[nodiscard]] bool is_sure(const FuncCall* call) const;
  Value constant(A_Const* constant) const;
  Value first_literal() const;
  bool literal_at(std::uint32_t offset, std::uint32_t& index) const noexcept;

  Bytes text_;
  const Shape& shape_;
  Span where_;
  Statement facts_;
  std::deque<Scope> scopes_;
  std::vector<Item> todo_;
  const Scope* scope_ = nullptr;  // for push_child
  const void* skip_ = nullptr;
  std::vector<const FuncCall*> sure_calls_;
  std::size_t references_ = 0;
  bool write_ = false;  // the statement itself changes something
  bool into_ = false;
  bool all_seen_ = true;
};

/// pg_temp and its forms with a number.
bool is_temporary_schema(const char* schema) noexcept;
/// A function that ends or cancels what another server process does.
bool signals_backend(Bytes name) noexcept;
inline Bytes bytes_or_empty(const char* text) noexcept {
  return text == nullptr ? Bytes() : text;
}

template <class Wanted>
Wanted* as(Node* node) noexcept {
  return reinterpret_cast<Wanted*>(node);
}

}  // namespace forebay::sql
