#pragma once

#include <deque>
#include <string>
#include <vector>

#include "forebay/routing/tenant/policy.hpp"
#include "routing/sql/analysis.hpp"

namespace forebay::tenant {

/// What a policy says of one statement, from its raw parse tree. Every reference to a protected
/// table has to be shown to be restricted to the tenant; whatever is not understood is not.
///
/// A *level* is what one SELECT, UPDATE, DELETE, MERGE has in FROM: its names. A name is *bound*
/// when every row of it that comes out has the tenant's value in its column, or is the row of NULLs
/// of an outer join: by a comparison with a value, or with the column of a name that is bound.
///
/// As in Analysis, the tree is walked with a list. Joins alone are descended, to kJoinDepthMax.
class Judge {
 public:
  /// `analysis` is for values only; `facts` are those of the statement.
  Judge(const Policy& policy, const sql::Analysis& analysis, const sql::Shape& shape,
        Verdict& verdict)
      : policy_(policy), analysis_(analysis), shape_(shape), verdict_(verdict) {}

  void run(Node* statement, const sql::Statement& facts);

 private:
  static constexpr std::size_t kJoinDepthMax = 200;
  static constexpr std::size_t kLeavesMax = 1000;
  static constexpr std::size_t kPlacesMax = 16 * 1024;

  /// Names of WITH that can be seen, the innermost first.
  struct Names {
    const Names* outer;
    Bytes name;
  };
  /// Something in FROM.
  struct Leaf {
    Bytes name;             ///< by which columns are qualified
    bool any_name = false;  ///< nobody knows it
    Bytes schema;           ///< where that is the table's own name
    Bytes table;
    Mode mode = Mode::off;  ///< off: not protected
    bool visible = true;    ///< not behind the alias of a join
    bool listed = false;    ///< has the column for certain: not only by "*"
    bool bound = false;
  };
  struct Level {
    const Level* outer = nullptr;
    const Names* names = nullptr;
    std::vector<Leaf> leaves;
    /// Whoever is bound makes the other one so.
    struct Edge {
      std::size_t from;
      std::size_t to;
    };
    std::vector<Edge> edges;
    bool merged = false;  ///< an outer join may have the tenant column of either side
  };
  /// Leaves [begin, end) of a level.
  struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
    bool plain = true;  ///< tables and inner joins of these
    [[nodiscard]] bool has(std::size_t leaf) const noexcept { return leaf >= begin && leaf < end; }
  };
  /// Names are those of `seen`; who is in `first` or `second` is restricted.
  struct Sides {
    Range seen;
    Range first;
    Range second;
    [[nodiscard]] bool restricts(std::size_t leaf) const noexcept {
      return first.has(leaf) || second.has(leaf);
    }
  };
  /// A SELECT is the source of an INSERT: this column of it must be the tenant's value.
  struct Wanted {
    bool is;
    std::size_t column;
    Bytes table;
    Mode mode;
    Place::Rule rule;  ///< of a parameter
  };
  struct Item {
    Node* node;
    const Names* names;
    const Level* level;
    Wanted wanted = {};
    bool filters = false;
  };

  // judge.cpp
  void statement(Node* node, const sql::Statement& facts);
  static bool about_session(sql::Kind kind) noexcept;
  void settings(const sql::Statement& facts);
  void setting(const sql::Setting& setting);
  void walk();
  void visit(const Item& item);
  void call(FuncCall* call);
  void called(Bytes name);
  void push_condition(void* node, const Names* names, const Level* level);
  void attribute(List* names, int first);
  void children(Node* node, const Names* names, const Level* level,
                std::initializer_list<const void*> skip = {});
  static bool push_child(Node* node, Judge* self);
  void push(void* node, const Names* names, const Level* level, Wanted wanted = {}) {
    if (node != nullptr) {
      todo_.push_back({static_cast<Node*>(node), names, level, wanted, filters_});
    }
  }
  const Names* open_with(WithClause* with, const Names* names, const Level* level);
  void finding(Mode mode, Bytes table, std::string why);
  void refuse(std::string why) { finding(policy_.of_statements(), {}, std::move(why)); }
  [[nodiscard]] Mode mode_of(RangeVar* range, const Names* names);

  // level.cpp: what restricts what
  void select(SelectStmt* select, const Item& item);
  Range from(List* clause, Level& level);
  Range source(Node* node, Level& level, std::size_t depth);
  Range relation(RangeVar* range, Level& level);
  Range join(JoinExpr* join, Level& level, std::size_t depth);
  static void join_using(JoinExpr* join, Level& level, const Range& left, const Range& right);
  static void name_after_function(RangeFunction* function, Leaf& leaf);
  static Range derived(Alias* alias, Bytes otherwise, Level& level);
  void conditions(Node* node, Level& level, const Range& seen, const Range& first,
                  const Range& second);
  void condition(A_Expr* expression, Level& level, const Sides& sides);
  void comparison(Node* one, Node* other, Level& level, const Sides& sides);
  void in_list(Node* left, List* values, Level& level, const Sides& sides);
  void one_of(Node* node, const std::vector<Place>& places, Level& level, const Sides& sides);
  bool places_of(List* values, std::vector<Place>& places) const;
  bool array_places(Node* array, std::vector<Place>& places) const;
  void settle(Level& level);
  [[nodiscard]] std::vector<std::size_t> columns_of(Node* node, const Level& level,
                                                    const Range& seen) const;
  [[nodiscard]] static bool unmistakable(const Level& level, const Range& seen);
  [[nodiscard]] bool bound_outside(Node* node, const Level& level) const;
  [[nodiscard]] bool place_of(Node* node, Place& place) const;
  [[nodiscard]] bool list_at(int location, std::uint32_t& index) const noexcept;
  [[nodiscard]] bool keeps_value(const TypeName* type, bool array = false) const noexcept;
  void add_place(const Place& place, Bytes table, Mode mode);

  // changes.cpp: INSERT, UPDATE, DELETE, MERGE, COPY
  void insert(InsertStmt* insert, const Item& item);
  void conflict(OnConflictClause* clause, Level& level);
  void rows(List* lists, const Wanted& wanted);
  void selected(SelectStmt* select, const Level& level, const Wanted& wanted);
  void update(UpdateStmt* update, const Item& item);
  void remove(DeleteStmt* remove, const Item& item);
  void merge(MergeStmt* merge, const Item& item);
  bool made_here(SelectStmt* select, const Wanted& wanted);
  void assigned(List* targets, const Leaf& target, const Leaf* excluded = nullptr);
  bool column_place(List* columns, const Leaf& target, std::size_t& place);
  void cell(Node* value, const Wanted& wanted);
  static bool is_star(Node* value) noexcept;
  static bool has_star(List* values) noexcept;
  void copy(CopyStmt* copy);
  Level& target_level(RangeVar* range, const Names* inside, const Item& item);
  Level& new_level(const Item& item) {
    levels_.push_back({item.level, item.names, {}, {}, false});
    return levels_.back();
  }

  const Policy& policy_;
  const sql::Analysis& analysis_;
  const sql::Shape& shape_;
  Verdict& verdict_;
  std::deque<Names> names_;
  std::deque<Level> levels_;
  std::vector<Item> todo_;
  Mode strictest_ = Mode::off;  // of all tables
  bool counts_ = false;         // EXPLAIN ANALYZE
  /// What is at hand may be evaluated for rows that are not shown to be the tenant's: a condition
  /// before the one that binds them, or a row of FROM before it is joined.
  bool filters_ = false;
  Bytes effect_;  // the first function that leaves something behind there
  // for push_child
  const Names* inside_ = nullptr;
  const Level* level_ = nullptr;
  std::vector<const void*> skip_;
};

}  // namespace forebay::tenant
