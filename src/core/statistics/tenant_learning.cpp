#include "core/statistics/tenant_learning.hpp"

#include "forebay/routing/rules/rule_set.hpp"

namespace forebay::core {

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
  if ((schema + name).find('.') != std::string::npos) {
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
