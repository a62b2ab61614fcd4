#pragma once

#include <memory>

#include "admin/averages.hpp"
#include "core/console/console.hpp"

namespace forebay::admin {

/// The console of the process: makes a session for each client of it.
class Consoles final : public core::Consoles {
 public:
  explicit Consoles(core::Shared& shared) : shared_(shared) {}
  std::unique_ptr<core::Console> open(core::Engine& engine, Setup setup) override;
  void tick(Instant now) override { averages_.tick(shared_, now); }

 private:
  core::Shared& shared_;
  Averages averages_;
};

}  // namespace forebay::admin
