#pragma once

#include <string>

#include "sim/model_client.hpp"
#include "support/fake_postgres.hpp"

namespace forebay::test {

/// What the client was allowed to meet with.
struct Allowances {
  bool losses = false;  ///< servers die, or cannot be reached: an error, then nothing is compared
  bool listening_lost = false;  ///< shared_listen's connection is, and notifications with it
};

/// Compares what a client got with what the model server alone would have sent it. Empty, or where
/// the two differ. README.md lists what may differ.
std::string compare_with_direct(const ModelClient& client, const FakeServerOptions& options,
                                Allowances allowances);

}  // namespace forebay::test
