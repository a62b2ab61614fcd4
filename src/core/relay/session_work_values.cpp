#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/relay/parameter_set.hpp"
#include "core/relay/session_work.hpp"
#include "forebay/protocol/postgres/reader.hpp"
#include "forebay/routing/sql/shape.hpp"

// What a text does to its session, once the values of its parameters are known; and what it may do
// where nobody knows.

namespace forebay::core {
namespace {

using StepKind = SessionStep::Kind;

// The parameters of a Bind, as far as they are text (or of a type whose binary form is its text).
class Bound {
 public:
  explicit Bound(Bytes values) : reader_(values) {
    std::vector<std::uint16_t> formats(reader_.u16());
    for (auto& format : formats) format = reader_.u16();
    const std::uint16_t count = reader_.u16();
    for (std::uint16_t i = 0; i < count && reader_.ok(); ++i) {
      const std::int32_t size = reader_.i32();
      std::optional<Bytes> value;
      if (size >= 0) value = reader_.bytes(static_cast<std::size_t>(size));
      const std::uint16_t format = formats.empty()       ? 0
                                   : formats.size() == 1 ? formats[0]
                                   : i < formats.size()  ? formats[i]
                                                         : 0;
      values_.push_back({value, format != 0});
    }
  }

  struct Parameter {
    std::optional<Bytes> value;  ///< nothing for NULL
    bool binary;
  };
  /// Null where there is no such parameter.
  [[nodiscard]] const Parameter* find(std::uint16_t number) const {
    if (!reader_.ok() || number == 0 || number > values_.size()) return nullptr;
    return &values_[number - 1];
  }

 private:
  pg::Reader reader_;
  std::vector<Parameter> values_;
};

// An integer as text, of whatever size it is in binary; nothing for what is none.
std::string integer_text(const Bound::Parameter& parameter) {
  if (!parameter.value) return {};
  const Bytes value = *parameter.value;
  if (!parameter.binary) return std::string(value);
  if (value.size() != 2 && value.size() != 4 && value.size() != 8) return {};
  std::uint64_t number = 0;
  for (const char byte : value) number = number << 8 | static_cast<unsigned char>(byte);
  return std::to_string(number);
}

// Fills in one step. False when it does nothing (set_config for the transaction only).
bool bind_step(SessionStep& step, const Bound& bound) {
  if (step.signals_server()) {
    const auto* id = bound.find(std::exchange(step.value_parameter, std::uint16_t{0}));
    if (id != nullptr) step.value = integer_text(*id);
    return true;
  }
  if (const auto* local = bound.find(std::exchange(step.local_parameter, std::uint16_t{0}))) {
    // NULL is false.
    const bool yes =
        local->value && (local->binary ? *local->value == Bytes("\1", 1) : is_true(*local->value));
    if (yes) {
      step.known = step.kind != StepKind::reset;
      step.kind = StepKind::local;
    }
  }
  if (const auto* name = bound.find(std::exchange(step.name_parameter, std::uint16_t{0}))) {
    if (!name->value) return false;
    step.name = *name->value;
    if (!lasts(step.name)) return false;
  }
  if (const auto* value = bound.find(std::exchange(step.value_parameter, std::uint16_t{0}))) {
    if (value->value) {
      step.value = *value->value;
    } else if (step.kind == StepKind::local) {
      step.known = false;
    } else {
      step.kind = StepKind::reset;
    }
  }
  return step.kind != StepKind::local || !is_harmless_to_parsing(parameter_name(step.name));
}

}  // namespace

bool lasts(std::string_view name) {
  return name != "transaction_isolation" && name != "transaction_read_only" &&
         name != "transaction_deferrable" && name != "seed";
}

bool is_true(std::string_view text) {
  const auto begins = [&](std::string_view word) {
    if (text.empty() || text.size() > word.size()) return false;
    return std::equal(text.begin(), text.end(), word.begin(),
                      [](char a, char b) { return (a | 0x20) == b; });
  };
  return text == "1" || begins("true") || begins("yes") || (text.size() == 2 && begins("on"));
}

SessionWorkRef executed_work(const SessionWorkRef& work) {
  if (work != nullptr && work->depth >= kExecutedMax) return unknown_work();
  if (work == nullptr || !work->parameters()) return work;
  auto executed = std::make_shared<SessionWork>(*work);
  for (SessionStep& step : executed->steps) {
    if (step.name_parameter + step.value_parameter + step.local_parameter == 0) continue;
    SessionStep unknown;
    if (step.signals_server()) {
      step.value_parameter = 0;
      continue;
    }
    unknown.known = false;
    unknown.kind = step.kind == StepKind::local ? StepKind::local : StepKind::hold;
    if (unknown.kind == StepKind::hold) unknown.reason = PinReason::setting;
    if (step.name_parameter == 0) unknown.name = step.name;
    step = std::move(unknown);
  }
  return executed;
}

SessionWorkRef unknown_work() {
  static const SessionWorkRef unknown = std::make_shared<const SessionWork>(
      SessionWork{.steps = {}, .statements = 0, .depth = 0, .unknown = true});
  return unknown;
}

SessionWorkRef unparsed_work(Bytes text) {
  struct Word {
    std::string_view word;
    StepKind kind;
    PinReason reason;
  };
  constexpr Word kWords[] = {{"temp", StepKind::look, PinReason::none},
                             {"advisory", StepKind::look, PinReason::none},
                             {"set_config", StepKind::hold, PinReason::setting},
                             {"currval", StepKind::hold, PinReason::sequence},
                             {"lastval", StepKind::hold, PinReason::sequence}};
  // Of a longer text only a part may be at hand, and what it says must not hang on that.
  if (text.size() > sql::kTextMax) return unknown_work();
  const std::string folded = lower(text);
  std::shared_ptr<SessionWork> work;
  for (const Word& word : kWords) {
    if (folded.find(word.word) == std::string::npos) continue;
    if (work == nullptr) work = std::make_shared<SessionWork>(*unknown_work());
    SessionStep& step = work->steps.emplace_back();
    step.kind = word.kind;
    step.reason = word.reason;
  }
  if (work == nullptr) return unknown_work();
  return work;
}

SessionWorkRef bound_work(const SessionWork& work, Bytes values) {
  const Bound bound(values);
  auto result = std::make_shared<SessionWork>(work);
  std::erase_if(result->steps, [&](SessionStep& step) { return !bind_step(step, bound); });
  return result;
}

}  // namespace forebay::core
