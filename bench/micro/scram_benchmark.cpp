#include <benchmark/benchmark.h>

#include <string>
#include <variant>

#include "forebay/auth/scram_client.hpp"
#include "forebay/auth/scram_server.hpp"
#include "forebay/auth/verifier.hpp"
#include "forebay/base/assert.hpp"

/// What a login by SCRAM-SHA-256 costs the server's side, and what deriving keys would cost it.
namespace {

using namespace forebay;
using namespace forebay::auth;

constexpr std::uint32_t kIterations = 4096;
const std::string kSalt = "0123456789abcdef";

Password password() {
  return Password(config::Secret("secret"));
}

ScramServer::Setup server_setup(const Verifier& verifier) {
  ScramServer::Setup setup;
  setup.verifiers = {verifier};
  setup.nonce.fill('s');
  return setup;
}

void scram_server_exchange(benchmark::State& state) {
  const Verifier verifier = Verifier::make(password(), kSalt, kIterations);
  // Both nonces are always the same, so what the client says is, too.
  ScramClient client({.secret = derive_keys(password(), kSalt, kIterations)});
  ScramServer once(server_setup(verifier));
  const std::string first = client.first_message();
  const auto challenge = std::get<ScramServer::Continue>(once.receive(first)).message;
  const auto final = std::get<ScramClient::Continue>(client.receive(challenge)).message;
  for (auto _ : state) {
    ScramServer server(server_setup(verifier));
    benchmark::DoNotOptimize(server.receive(first));
    const auto outcome = server.receive(final);
    FB_ASSERT(std::holds_alternative<ScramServer::Success>(outcome));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(scram_server_exchange);

void scram_derive_keys(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(derive_keys(password(), kSalt, kIterations));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(scram_derive_keys);

}  // namespace
