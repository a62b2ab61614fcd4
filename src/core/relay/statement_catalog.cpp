#include "core/relay/statement_catalog.hpp"

#include "forebay/base/assert.hpp"

namespace forebay::core {

Statement::Statement(StatementCatalog& catalog, std::uint64_t id, std::string definition)
    : catalog_(catalog),
      id_(id),
      server_name_(std::string(StatementCatalog::kNamePrefix) + std::to_string(id)),
      definition_(std::move(definition)) {}

StatementRef::~StatementRef() {
  if (statement_ == nullptr) return;
  // The last reference is dropped under the shard's lock, where nobody can find it any more.
  std::uint32_t count = statement_->references_.load(std::memory_order_relaxed);
  while (count > 1) {
    if (statement_->references_.compare_exchange_weak(count, count - 1,
                                                      std::memory_order_acq_rel)) {
      return;
    }
  }
  statement_->catalog_.drop(statement_);
}

StatementCatalog::~StatementCatalog() {
  FB_ASSERT(size() == 0);
}

StatementRef StatementCatalog::find_or_make(Bytes definition) {
  FB_ASSERT(!definition.empty());
  Shard& shard = shard_of(definition);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.by_definition.find(definition);
  if (found != shard.by_definition.end()) return StatementRef(found->second);

  const std::uint64_t id = next_id_.fetch_add(1, std::memory_order_relaxed);
  auto statement = std::make_unique<Statement>(*this, id, std::string(definition));
  shard.by_definition.emplace(statement->definition(), statement.get());
  return StatementRef(statement.release());
}

StatementRef StatementCatalog::find(Bytes definition) {
  Shard& shard = shard_of(definition);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.by_definition.find(definition);
  return found == shard.by_definition.end() ? StatementRef() : StatementRef(found->second);
}

StatementRef StatementCatalog::make_unkept() {
  const std::uint64_t id = next_id_.fetch_add(1, std::memory_order_relaxed);
  return StatementRef(new Statement(*this, id, {}));
}

std::size_t StatementCatalog::size() const {
  std::size_t total = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    total += shard.by_definition.size();
  }
  return total;
}

void StatementCatalog::drop(Statement* statement) noexcept {
  Shard& shard = shard_of(statement->definition());
  std::unique_ptr<Statement> last;  // freed after the lock
  const std::lock_guard lock(shard.mutex);
  if (statement->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (!statement->unkept()) shard.by_definition.erase(statement->definition());
  last.reset(statement);
}

}  // namespace forebay::core
