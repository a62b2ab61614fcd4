#include "forebay/config/pattern.hpp"

#include <re2/re2.h>

namespace forebay::config {
namespace {

/// For each; one that needs more is refused, or matched more slowly.
constexpr std::int64_t kMemoryMax = std::int64_t{2} << 20;

RE2::Options options() {
  RE2::Options options;
  options.set_encoding(RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  options.set_never_capture(true);
  options.set_max_mem(kMemoryMax);
  return options;
}

}  // namespace

struct Pattern::Compiled {
  explicit Compiled(std::string_view text) : expression({text.data(), text.size()}, options()) {}
  RE2 expression;
};

Result<Pattern> Pattern::compile(std::string_view text) {
  Pattern pattern;
  pattern.text_ = text;
  if (text.empty()) return pattern;
  auto compiled = std::make_shared<const Compiled>(text);
  if (!compiled->expression.ok()) return failure(compiled->expression.error());
  pattern.compiled_ = std::move(compiled);
  return pattern;
}

bool Pattern::matches(std::string_view text) const {
  return compiled_ != nullptr &&
         RE2::PartialMatch({text.data(), text.size()}, compiled_->expression);
}

}  // namespace forebay::config
