#include "core/relay/prepared_statements.hpp"

#include <algorithm>

#include "forebay/protocol/postgres/message_table.hpp"

namespace forebay::core {
namespace {

// Names that differ only behind so many bytes are the same name to PostgreSQL.
Bytes significant(Bytes name) {
  return name.substr(0, pg::kNameMax);
}

}  // namespace

const ClientStatements::Named* ClientStatements::find(Bytes name) const {
  const auto found = by_name_.find(significant(name));
  return found == by_name_.end() ? nullptr : &found->second;
}

ClientStatements::Named* ClientStatements::find(Bytes name) {
  name = significant(name);
  if (found_ != nullptr && found_->first == name) return &found_->second;
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return nullptr;
  found_ = &*found;
  return &found->second;
}

std::string ClientStatements::name_of(std::string_view server_name) const {
  for (const auto& [name, named] : by_name_) {
    if (named.statement && named.statement->server_name() == server_name) return name;
  }
  return {};
}

void ClientStatements::set(Bytes name, Named named) {
  static_cast<void>(take(name));
  bytes_ += bytes_of(named);
  named.order = ++order_;
  by_name_.insert_or_assign(std::string(significant(name)), std::move(named));
}

void ClientStatements::replace(Named& named, StatementRef statement) {
  bytes_ -= bytes_of(named);
  named.statement = std::move(statement);
  bytes_ += bytes_of(named);
}

void ClientStatements::confirm(Bytes name) {
  const auto found = by_name_.find(significant(name));
  if (found != by_name_.end()) found->second.pending = false;
}

ClientStatements::Named ClientStatements::take(Bytes name) {
  const auto found = by_name_.find(significant(name));
  if (found == by_name_.end()) return {};
  Named named = std::move(found->second);
  if (found_ == &*found) found_ = nullptr;
  by_name_.erase(found);
  bytes_ -= bytes_of(named);
  return named;
}

void ClientStatements::deallocate_all() {
  found_ = nullptr;
  std::erase_if(by_name_, [this](const auto& entry) {
    if (entry.second.pending) return false;
    bytes_ -= bytes_of(entry.second);
    return true;
  });
}

void ClientStatements::pass_on() {
  found_ = nullptr;
  untold = {};
  for (auto entry = by_name_.begin(); entry != by_name_.end();) {
    Named& named = entry->second;
    if (named.statement && named.statement->sql().empty() && !named.statement->unkept()) {
      named.judged_by = 0;
      named.effects = 0;
      named.rules = {};
      ++entry;
    } else {
      bytes_ -= bytes_of(named);
      entry = by_name_.erase(entry);
    }
  }
}

std::vector<std::pair<std::string_view, ClientStatements::Named*>> ClientStatements::in_order() {
  std::vector<std::pair<std::string_view, Named*>> all;
  all.reserve(by_name_.size());
  for (auto& [name, named] : by_name_) all.emplace_back(name, &named);
  std::ranges::sort(all, {}, [](const auto& entry) { return entry.second->order; });
  return all;
}

bool ClientStatements::hold_unkept() const {
  return std::any_of(by_name_.begin(), by_name_.end(), [](const auto& entry) {
    return entry.second.statement && entry.second.statement->unkept();
  });
}

bool LinkStatements::use(const StatementRef& statement) {
  const auto found = where_.find(statement.get());
  if (found == where_.end()) return false;
  order_.splice(order_.begin(), order_, found->second);
  return true;
}

void LinkStatements::add(StatementRef statement, std::uint32_t batch, std::uint64_t epoch,
                         ParameterTypes types) {
  if (use(statement)) return;
  const Statement* key = statement.get();
  const bool given = types != nullptr;
  order_.push_front({std::move(statement), true, batch, epoch, kUntold, std::move(types), given});
  where_.emplace(key, order_.begin());
}

void LinkStatements::confirm(const StatementRef& statement) {
  const auto found = where_.find(statement.get());
  if (found != where_.end()) found->second->pending = false;
}

void LinkStatements::take_front(const StatementRef& statement, std::int32_t front) {
  const auto found = where_.find(statement.get());
  if (found != where_.end()) found->second->front = front;
}

const LinkStatements::Held* LinkStatements::find(const StatementRef& statement) const {
  const auto found = where_.find(statement.get());
  return found == where_.end() ? nullptr : &*found->second;
}

void LinkStatements::described(const StatementRef& statement, ResultShape shape) {
  const auto found = where_.find(statement.get());
  if (found != where_.end()) found->second->shape = shape;
}

void LinkStatements::take_types(const StatementRef& statement, ParameterTypes types) {
  const auto found = where_.find(statement.get());
  if (found != where_.end()) found->second->types = std::move(types);
}

void LinkStatements::remove(const StatementRef& statement) {
  const auto found = where_.find(statement.get());
  if (found == where_.end()) return;
  order_.erase(found->second);
  where_.erase(found);
}

void LinkStatements::clear() noexcept {
  where_.clear();
  order_.clear();
  closing_.clear();
}

bool LinkStatements::older(const StatementRef& statement, std::uint64_t epoch) const {
  const auto found = where_.find(statement.get());
  return found != where_.end() && found->second->epoch < epoch;
}

// One that cannot be prepared again stays; so does one of which nobody knows yet whether the server
// has it.
bool LinkStatements::Held::may_go(std::uint32_t now) const {
  return !statement->unkept() && (!pending || batch == now);
}

StatementRef LinkStatements::evict(std::uint32_t batch) {
  for (auto held = order_.rbegin(); held != order_.rend(); ++held) {
    if (!held->may_go(batch)) continue;
    StatementRef statement = held->statement;
    evict(statement, batch);
    return statement;
  }
  return {};
}

bool LinkStatements::evict(const StatementRef& statement, std::uint32_t batch) {
  const auto found = where_.find(statement.get());
  if (found == where_.end() || !found->second->may_go(batch)) return false;
  closing_.push_back(*found->second);
  closing_.back().pending = true;
  closing_.back().batch = batch;
  order_.erase(found->second);
  where_.erase(found);
  return true;
}

void LinkStatements::evicted(const StatementRef& statement, bool closed) {
  const auto found = std::find_if(closing_.begin(), closing_.end(),
                                  [&](const Held& held) { return held.statement == statement; });
  if (!closed && found != closing_.end() && find(statement) == nullptr) {
    order_.push_front(*found);
    order_.front().pending = false;
    where_.emplace(statement.get(), order_.begin());
  } else if (!closed) {
    add(statement, 0, 0);
    confirm(statement);
  }
  if (found != closing_.end()) closing_.erase(found);
}

bool LinkStatements::closing(const StatementRef& statement, std::uint32_t batch) const {
  return std::any_of(closing_.begin(), closing_.end(), [&](const Held& held) {
    return held.statement == statement && held.batch != batch;
  });
}

bool LinkStatements::undecided(const StatementRef& statement, std::uint32_t batch) const {
  if (closing(statement, batch)) return true;
  const auto found = where_.find(statement.get());
  return found != where_.end() && found->second->pending && found->second->batch != batch;
}

std::size_t LinkStatements::made_by_sql() const {
  const auto by_sql = [](const Held& held) { return !held.statement->sql().empty(); };
  return static_cast<std::size_t>(std::count_if(order_.begin(), order_.end(), by_sql));
}

void LinkStatements::deallocate_all() {
  for (auto it = order_.begin(); it != order_.end();) {
    if (it->pending) {
      ++it;
    } else {
      where_.erase(it->statement.get());
      it = order_.erase(it);
    }
  }
}

}  // namespace forebay::core
