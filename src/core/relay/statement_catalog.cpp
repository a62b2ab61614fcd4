#include "core/relay/statement_catalog.hpp"

#include "forebay/base/assert.hpp"

namespace forebay::core {

Statement::Statement(StatementCatalog& catalog, std::uint64_t id, std::string key,
                     std::size_t definition)
    : catalog_(catalog),
      id_(id),
      server_name_(std::string(StatementCatalog::kNamePrefix) + std::to_string(id)),
      key_(std::move(key)),
      definition_(definition) {}

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

StatementRef StatementCatalog::find_or_make(Bytes definition, Bytes context) {
  FB_ASSERT(!definition.empty());
  std::string key(definition);
  if (!context.empty()) key.append(1, '\0').append(context);
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.by_key.find(key);
  if (found != shard.by_key.end()) return StatementRef(found->second);

  const std::uint64_t id = next_id_.fetch_add(1, std::memory_order_relaxed);
  auto statement = std::make_unique<Statement>(*this, id, std::move(key), definition.size());
  shard.by_key.emplace(statement->key_, statement.get());
  return StatementRef(statement.release());
}

StatementRef StatementCatalog::find(Bytes definition, Bytes context) {
  std::string joined;
  Bytes key = definition;
  if (!context.empty()) {
    joined.append(definition).append(1, '\0').append(context);
    key = joined;
  }
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.by_key.find(key);
  return found == shard.by_key.end() ? StatementRef() : StatementRef(found->second);
}

StatementRef StatementCatalog::make_unkept() {
  const std::uint64_t id = next_id_.fetch_add(1, std::memory_order_relaxed);
  return StatementRef(new Statement(*this, id, {}, 0));
}

std::size_t StatementCatalog::size() const {
  std::size_t total = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    total += shard.by_key.size();
  }
  return total;
}

void StatementCatalog::drop(Statement* statement) noexcept {
  Shard& shard = shard_of(statement->key_);
  std::unique_ptr<Statement> last;  // freed after the lock
  const std::lock_guard lock(shard.mutex);
  if (statement->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (!statement->unkept()) shard.by_key.erase(statement->key_);
  last.reset(statement);
}

}  // namespace forebay::core
