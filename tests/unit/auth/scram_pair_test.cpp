// The two sides of SCRAM against each other, undamaged and with every byte damaged.
#include <functional>
#include <optional>

#include "helpers.hpp"

namespace forebay::auth {
namespace {

/// What became of an exchange. Success of the one side may still be the failure of the other.
struct Ending {
  bool server_success = false;
  bool client_success = false;
  std::string client_error;
  ScramKeys keys;
};

/// Messages in the order sent; a tamperer may change them on the way.
using Tamper = std::function<void(std::size_t step, std::string& message)>;
constexpr std::size_t kSteps = 4;

Ending run(
    ScramServer::Setup server_setup, ScramClient::Setup client_setup,
    const Tamper& tamper = [](std::size_t, std::string&) {}) {
  ScramServer server(std::move(server_setup));
  const auto secret = client_setup.secret;
  ScramClient client(std::move(client_setup));
  Ending ending;
  std::string message = client.first_message();
  for (std::size_t step = 0;;) {
    tamper(step++, message);
    auto answer = server.receive(message);
    if (auto* success = std::get_if<ScramServer::Success>(&answer)) {
      ending.server_success = true;
      ending.keys = success->keys;
      message = success->message;
    } else if (auto* next = std::get_if<ScramServer::Continue>(&answer)) {
      message = next->message;
    } else {
      return ending;
    }
    tamper(step++, message);
    auto reaction = client.receive(message);
    if (auto* need = std::get_if<ScramClient::NeedKeys>(&reaction)) {
      const auto& request = need->request;
      if (request.iterations > 10) return ending;  // tampered; only slow
      reaction =
          client.supply(derive_keys(std::get<Password>(secret), request.salt, request.iterations));
    }
    if (auto* next = std::get_if<ScramClient::Continue>(&reaction)) {
      message = next->message;
      continue;
    }
    ending.client_success = std::holds_alternative<ScramClient::Success>(reaction);
    if (auto* error = std::get_if<Error>(&reaction)) ending.client_error = show(*error);
    return ending;
  }
}

struct Combination {
  const char* name;
  bool plus_offered = false;
  bool plus_selected = false;
  ChannelBinding binding = ChannelBinding::unsupported;
  bool by_keys = false;
  bool allowed = true;
};

ScramServer::Setup server_of(const Combination& way) {
  return {.verifiers = {verifier_of("old"), verifier_of("pencil")},
          .plus_offered = way.plus_offered,
          .plus_selected = way.plus_selected,
          .end_point = way.plus_offered ? kTestEndPoint : "",
          .nonce = nonce_of('s')};
}

ScramClient::Setup client_of(const Combination& way) {
  ScramClient::Setup setup{.secret = password_of("pencil"),
                           .binding = way.binding,
                           .end_point = kTestEndPoint,
                           .nonce = nonce_of('c')};
  if (way.by_keys) {
    setup.secret = derive_keys(password_of("pencil"), kTestSalt, kTestIterations);
  }
  return setup;
}

constexpr auto kNone = ChannelBinding::unsupported;
constexpr auto kNotOffered = ChannelBinding::not_offered;
constexpr auto kEndPoint = ChannelBinding::end_point;

const Combination kCombinations[] = {
    {"n", false, false, kNone, false, true},
    {"n by keys", false, false, kNone, true, true},
    {"y", false, false, kNotOffered, false, true},
    {"y by keys", false, false, kNotOffered, true, true},
    {"p", true, true, kEndPoint, false, true},
    {"p by keys", true, true, kEndPoint, true, true},
    {"n, plus offered", true, false, kNone, false, true},
    {"y, plus offered: downgrade", true, false, kNotOffered, false, false},
    {"p, plus not selected", true, false, kEndPoint, false, false},
    {"p, plus not offered", false, false, kEndPoint, false, false},
    {"n, plus selected", true, true, kNone, false, false},
    {"y, plus selected", true, true, kNotOffered, false, false},
};

TEST(ScramPair, every_combination_ends_as_the_rfc_says) {
  for (const Combination& way : kCombinations) {
    const Ending ending = run(server_of(way), client_of(way));
    EXPECT_EQ(ending.server_success, way.allowed) << way.name;
    EXPECT_EQ(ending.client_success, way.allowed) << way.name << ": " << ending.client_error;
    if (way.allowed) {
      EXPECT_EQ(ending.keys, derive_keys(password_of("pencil"), kTestSalt, kTestIterations));
    }
  }
}

TEST(ScramPair, keys_won_from_a_client_open_the_server_with_that_verifier) {
  const Combination way = kCombinations[0];
  const Ending ending = run(server_of(way), client_of(way));
  ASSERT_TRUE(ending.server_success);
  auto setup = client_of(way);
  setup.secret = ending.keys;
  const Ending upstream =
      run({.verifiers = {verifier_of("pencil")}, .nonce = nonce_of('t')}, std::move(setup));
  EXPECT_TRUE(upstream.server_success && upstream.client_success);
  // And no other.
  setup = client_of(way);
  setup.secret = ending.keys;
  const Ending other =
      run({.verifiers = {verifier_of("other")}, .nonce = nonce_of('t')}, std::move(setup));
  EXPECT_FALSE(other.server_success || other.client_success);
}

TEST(ScramPair, another_certificate_in_between_is_noticed) {
  const Combination way = kCombinations[4];
  auto setup = client_of(way);
  setup.end_point = std::string(32, '\x01');
  const Ending ending = run(server_of(way), std::move(setup));
  EXPECT_FALSE(ending.server_success || ending.client_success);
}

TEST(ScramPair, wrong_passwords_fail) {
  for (const Combination& way : kCombinations) {
    if (way.by_keys) continue;
    auto setup = client_of(way);
    setup.secret = password_of("pencils");
    const Ending ending = run(server_of(way), std::move(setup));
    EXPECT_FALSE(ending.server_success || ending.client_success) << way.name;
  }
}

TEST(ScramPair, no_damage_to_any_message_goes_unnoticed) {
  for (const Combination& way : kCombinations) {
    if (!way.allowed) continue;
    std::vector<std::string> messages(kSteps);
    run(server_of(way), client_of(way),
        [&](std::size_t step, std::string& message) { messages[step] = message; });
    for (std::size_t damaged_step = 0; damaged_step < kSteps; ++damaged_step) {
      for_every_damage(messages[damaged_step], [&](const std::string& damaged,
                                                   const std::string& how) {
        const Ending ending =
            run(server_of(way), client_of(way), [&](std::size_t step, std::string& message) {
              if (step == damaged_step) message = damaged;
            });
        EXPECT_FALSE(ending.client_success) << way.name << ", step " << damaged_step << ", " << how;
        // The server has its proof before its last message is damaged.
        EXPECT_EQ(ending.server_success, damaged_step == 3)
            << way.name << ", step " << damaged_step << ", " << how;
      });
    }
  }
}

TEST(ScramPair, noise_never_succeeds) {
  std::uint32_t state = 1;
  const auto random = [&] { return (state = state * 1664525 + 1013904223) >> 16; };
  const std::string letters = "nypacrsiv=,,,xAZ+/09 \x01\xff";
  for (int round = 0; round < 20000; ++round) {
    std::string noise;
    for (std::uint32_t i = random() % 60; i > 0; --i) noise += letters[random() % letters.size()];
    const Combination& way = kCombinations[round % std::size(kCombinations)];
    ScramServer server(server_of(way));
    EXPECT_FALSE(std::holds_alternative<ScramServer::Success>(server.receive(noise)));
    EXPECT_FALSE(std::holds_alternative<ScramServer::Success>(server.receive(noise)));
    ScramClient client(client_of(way));
    EXPECT_FALSE(std::holds_alternative<ScramClient::Success>(client.receive(noise)));
    EXPECT_FALSE(std::holds_alternative<ScramClient::Success>(client.receive(noise)));
  }
}

}  // namespace
}  // namespace forebay::auth
