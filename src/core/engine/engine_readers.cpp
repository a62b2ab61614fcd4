#include "core/engine/engine.hpp"

// Which replica serves a read.
namespace forebay::core {

// Power of two choices: of two replicas that may serve it, the one that has less to do.
std::shared_ptr<Pool> Engine::choose_reader(Pool& primary, Instant since) {
  const auto& readers = primary.readers();
  if (since != kNever) return nullptr;  // nobody knows yet what replicas have
  const std::size_t not_this = primary.preferred_host();
  const std::shared_ptr<Pool>* best = nullptr;
  std::size_t seen = 0;
  const std::size_t first = ++turns_of_replicas_ % readers.size();
  for (std::size_t i = 0; i < readers.size() && seen < 2; ++i) {
    const std::size_t host = (first + i) % readers.size();
    const Pool& reader = *readers[host];
    if (host == not_this || reader.shunned_until() > now_) continue;
    ++seen;
    if (best == nullptr || reader.in_flight() < (*best)->in_flight()) best = &readers[host];
  }
  return best == nullptr ? nullptr : *best;
}

}  // namespace forebay::core
