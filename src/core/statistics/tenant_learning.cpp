#include "core/statistics/tenant_learning.hpp"

#include <string_view>

#include "forebay/routing/rules/rule_set.hpp"

namespace forebay::core {
namespace {

// RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if ((first >= 0x80 && first < 0xC2) || first > 0xF4 || text.size() < size) return false;
    std::uint32_t point = size == 1 ? first : first & (0x7FU >> size);
    for (std::size_t i = 1; i < size; ++i) {
      const auto next = static_cast<unsigned char>(text[i]);
      if ((next & 0xC0) != 0x80) return false;
      point = point << 6 | (next & 0x3FU);
    }
    if ((size == 3 && point < 0x800) || (size == 4 && point < 0x10000)) return false;
    if (point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace

void TenantLearning::see_unknown() {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(learned_.unknown, true)) changes_.fetch_add(1);
}

void TenantLearning::see(const sql::Facts& facts, const sql::Shape& shape) {
  const std::lock_guard lock(mutex_);
  // By half of its hash: that two of them are the same costs a name that is not learned.
  const bool readable = shape.fault() == sql::ShapeFault::none;
  if (readable && shapes_.contains(shape.hash().low)) return;
  if (readable && shapes_.size() < kShapesMax) shapes_.insert(shape.hash().low);
  bool news = !facts.known && !learned_.unknown;
  if (!facts.known) learned_.unknown = true;
  for (const sql::Statement& statement : facts.statements) news = take(statement) || news;
  if (news) changes_.fetch_add(1);
}

bool TenantLearning::take(const sql::Statement& statement) {
  const std::uint64_t before = learned_.kinds;
  learned_.kinds |= rules::kinds_of(statement);
  bool news = learned_.kinds != before;
  if (!statement.complete && !learned_.unknown) news = learned_.unknown = true;
  for (const sql::Table& table : statement.tables) {
    news = keep(learned_.tables, table.schema, table.name) || news;
  }
  for (const sql::Function& function : statement.functions) {
    news = keep(learned_.functions, function.schema, function.name) || news;
  }
  for (const sql::Statement& inner : statement.inner) news = take(inner) || news;
  return news;
}

bool TenantLearning::keep(std::set<std::string>& names, const std::string& schema,
                          const std::string& name) {
  if ((schema + name).find('.') != std::string::npos || !is_utf8(schema + name)) {
    return !std::exchange(learned_.unwritable, true);
  }
  std::string full = schema.empty() ? name : schema + "." + name;
  if (names.contains(full)) return false;
  if (names.size() == kNamesMax) return !std::exchange(learned_.full, true);
  names.insert(std::move(full));
  return true;
}

Learned TenantLearning::learned() const {
  const std::lock_guard lock(mutex_);
  return learned_;
}

std::shared_ptr<TenantLearning> TenantLearnings::find_or_make(const std::string& tenant) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<TenantLearning>& found = tenants_[tenant];
  if (found == nullptr) found = std::make_shared<TenantLearning>(changes_);
  return found;
}

std::vector<std::pair<std::string, Learned>> TenantLearnings::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, Learned>> all;
  for (const auto& [tenant, learning] : tenants_) all.emplace_back(tenant, learning->learned());
  return all;
}

}  // namespace forebay::core
