#include <algorithm>
#include <utility>

#include "core/relay/session_work.hpp"

// What a text does to its session by code that it does not show: functions, triggers, views.

namespace forebay::core {
namespace {

using StepKind = SessionStep::Kind;

/// More definitions of one text are for the catalog to tell.
constexpr std::size_t kDefinedMax = 64;

// The whole text where nobody knows better.
sql::Span span_of(const sql::Statement& statement, const sql::Shape& shape, Bytes text) {
  const auto parts = shape.parts();
  const std::size_t last = std::size_t{statement.part} + statement.part_count;
  if (statement.part_count == 0 || last > parts.size()) {
    return {0, static_cast<std::uint32_t>(text.size())};
  }
  return {parts[statement.part].begin, parts[last - 1].end};
}

/// Of what a definition is, its second word that matters: CREATE [OR REPLACE] [TEMP] VIEW.
std::string kind_of_definition(Bytes text) {
  std::string word = next_code_word(text);
  if (word != "create" && word != "alter") return {};
  do {
    word = next_code_word(text);
  } while (word == "or" || word == "replace" || word == "temp" || word == "temporary" ||
           word == "local" || word == "global" || word == "recursive" || word == "constraint" ||
           word == "unlogged" || word == "foreign" || word == "materialized");
  return word;
}

class Adder {
 public:
  Adder(SessionWork& work, const sql::Shape& shape, Bytes all, const KnownEffects& known)
      : work_(work), shape_(shape), all_(all), known_(known) {}

  void add(const sql::Statement& statement, std::uint16_t number) {
    number_ = number;
    span_ = span_of(statement, shape_, all_);
    if (statement.kind == sql::Kind::ddl) {
      define(statement);
    } else if (statement.kind == sql::Kind::prepare) {
      add_inner(statement);
    } else {
      does(work_.steps, effects_of(statement));
    }
  }

 private:
  // What the same text has defined counts, too.
  [[nodiscard]] Effects effects_of(const sql::Statement& statement) const {
    Effects effects = known_.names->of(statement, known_.pool);
    if (statement.kind == sql::Kind::do_block) {
      effects |= known_.names->named_in(span_.of(all_), true, known_.pool);
    }
    for (const SideEffect& each : defined_) {
      const bool used =
          each.of == SideEffect::Of::function
              ? std::ranges::any_of(statement.functions,
                                    [&](const auto& one) { return one.name == each.name; })
              : std::ranges::any_of(statement.tables, [&](const sql::Table& one) {
                  return one.name == each.name &&
                         (each.of == SideEffect::Of::use || one.use == sql::Table::Use::write);
                });
      if (used) effects |= each.effects;
    }
    return effects;
  }

  void does(std::vector<SessionStep>& steps, Effects effects) const {
    const auto step = [&](StepKind kind, PinReason reason) {
      SessionStep& made = steps.emplace_back();
      made.kind = kind;
      made.reason = reason;
      made.statement = number_;
    };
    if ((effects & kMaySet) != 0) step(StepKind::hold, PinReason::setting);
    if ((effects & kMayStay) != 0) step(StepKind::hold, PinReason::unknown);
    if ((effects & kMayLeave) != 0) step(StepKind::look, PinReason::none);
    if ((effects & kMayNotify) != 0) step(StepKind::notify, PinReason::none);
  }

  // The statement of a PREPARE does what it does when it is executed.
  void add_inner(const sql::Statement& statement) {
    Effects effects = 0;
    for (const sql::Statement& inner : statement.inner) effects |= effects_of(inner);
    if (effects == 0) return;
    const auto made = std::ranges::find_if(work_.steps, [&](const SessionStep& step) {
      return step.kind == StepKind::prepare && step.statement == number_;
    });
    if (made == work_.steps.end()) return;
    auto inner = made->inner == nullptr ? std::make_shared<SessionWork>()
                                        : std::make_shared<SessionWork>(*made->inner);
    inner->statements = 1;
    const std::uint16_t number = std::exchange(number_, std::uint16_t{0});
    does(inner->steps, effects);
    number_ = number;
    made->inner = std::move(inner);
  }

  // The catalog knows better, but not at once.
  void define(const sql::Statement& statement) {
    if (statement.creates_temporary || statement.drops || defined_.size() >= kDefinedMax) return;
    const bool is_function = !statement.makes_function.empty();
    const Bytes text = span_.of(all_);
    const std::string what = kind_of_definition(text);
    const bool when_used = what == "view" || what == "rule" || what == "policy";
    Effects effects = known_.names->named_in(text, is_function || when_used, known_.pool);
    for (const SideEffect& each : defined_) {
      if (mentions(text, each)) effects |= each.effects;
    }
    if (is_function) {
      make(SideEffect::Of::function, effects | code_of(), statement.makes_function);
      return;
    }
    if (when_used) effects |= code_effects(text);
    if (effects == 0 || what == "index" || what == "unique") return;
    for (const sql::Table& table : statement.tables) {
      if (table.use != sql::Table::Use::write) continue;
      if (when_used) make(SideEffect::Of::use, effects, table.name);
      make(SideEffect::Of::write, effects, table.name);
    }
  }

  static bool mentions(Bytes text, const SideEffect& effect) {
    const std::vector<SideEffect> one{effect};
    return SideEffectNames(one).named_in(text, effect.of == SideEffect::Of::use, effect.pool) != 0;
  }

  // Its body is a literal; where SQL itself defines it, a part of the text between these.
  [[nodiscard]] Effects code_of() const {
    Effects effects = 0;
    std::string shown;
    std::uint32_t from = span_.begin;
    for (const sql::Literal& literal : shape_.literals()) {
      if (literal.span.begin < span_.begin || literal.span.end > span_.end) continue;
      shown.append(sql::Span{from, literal.span.begin}.of(all_)).append("?");
      from = literal.span.end;
      std::string body;
      if (sql::literal_value(all_, literal, body)) effects |= code_effects(body);
    }
    shown.append(sql::Span{from, span_.end}.of(all_));
    // Its header may have pg_temp in the path that it runs with.
    const bool locks = shown.find("advisory") != std::string::npos;
    return static_cast<Effects>(effects | (code_effects(shown) & ~(locks ? 0 : kMayLeave)));
  }

  // Of what has none any more the catalog tells.
  void make(SideEffect::Of of, Effects effects, const std::string& name) {
    if (effects == 0) return;
    SideEffect effect{of, effects, {}, name, known_.pool};
    SessionStep& step = work_.steps.emplace_back();
    step.kind = StepKind::define;
    step.statement = number_;
    step.effect = std::make_shared<const SideEffect>(effect);
    defined_.push_back(std::move(effect));
  }

  SessionWork& work_;
  const sql::Shape& shape_;
  Bytes all_;
  const KnownEffects& known_;
  sql::Span span_;                   ///< of the statement at hand
  std::vector<SideEffect> defined_;  ///< by statements of the text
  std::uint16_t number_ = 0;
};

}  // namespace

void add_effects(SessionWork& work, const sql::Facts& facts, const sql::Shape& shape, Bytes text,
                 const KnownEffects& known) {
  if (known.names == nullptr) return;
  Adder adder(work, shape, text, known);
  std::uint16_t number = 0;
  for (const sql::Statement& statement : facts.statements) adder.add(statement, number++);
}

}  // namespace forebay::core
