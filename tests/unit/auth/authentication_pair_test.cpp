// The dialogue with a client against the dialogue with a server: every method with every kind of
// secret on the one side and every credential on the other, whole and damaged.
#include <functional>

#include "dialogue_helpers.hpp"
#include "forebay/auth/md5.hpp"

namespace forebay::auth {
namespace {

using config::AuthMethod;

struct Ending {
  bool let_in = false;     ///< by the one that answers the client
  bool logged_in = false;  ///< and the other took it
  Credential recovered;
  std::string reason;
};

/// Message bodies, in the order sent: the asking side's even, the answering side's odd.
using Tamper = std::function<void(std::size_t step, std::string& body)>;

Ending run(
    ClientAuthentication::Setup asking_setup, ServerAuthentication::Setup answering_setup,
    const Tamper& tamper = [](std::size_t, std::string&) {}) {
  ClientAuthentication asking(std::move(asking_setup));
  const Credential credential = answering_setup.credential;
  ServerAuthentication answering(std::move(answering_setup));
  Ending ending;
  std::string out;
  auto outcome = asking.begin(out);
  for (std::size_t step = 0;;) {
    if (auto* refusal = std::get_if<Refusal>(&outcome)) {
      ending.reason = refusal->reason;
      return ending;
    }
    if (auto* success = std::get_if<ClientAuthentication::Success>(&outcome)) {
      ending.let_in = true;
      ending.recovered = success->recovered;
    }
    // What was written, then AuthenticationOk where that is due.
    std::vector<std::string> bodies;
    if (!out.empty()) bodies.push_back(body_of(out, 'R'));
    if (ending.let_in) bodies.emplace_back(4, '\0');
    std::string answer;
    ServerAuthentication::Outcome reaction;
    for (std::string& body : bodies) {
      tamper(step, body);
      step += 2;
      reaction = answering.receive(body, answer);
      if (auto* need = std::get_if<ServerAuthentication::NeedKeys>(&reaction)) {
        const auto& request = need->request;
        if (request.iterations > 10) return ending;  // tampered; only slow
        reaction = answering.supply(
            derive_keys(std::get<Password>(credential), request.salt, request.iterations), answer);
      }
      if (auto* error = std::get_if<Error>(&reaction)) {
        ending.reason = show(*error);
        return ending;
      }
    }
    if (ending.let_in) {
      ending.logged_in = std::holds_alternative<ServerAuthentication::Success>(reaction);
      return ending;
    }
    if (answer.empty()) return ending;
    std::string body = body_of(answer, 'p');
    tamper(step - 1, body);
    out.clear();
    outcome = asking.receive(body, out);
  }
}

std::string stored_as(SecretKind kind) {
  switch (kind) {
    case SecretKind::clear_text:
      return "pencil";
    case SecretKind::md5:
      return md5_stored("pencil", "anna")->reveal();
    case SecretKind::scram:
      break;
  }
  return verifier_of("pencil").text().reveal();
}

const AuthMethod kMethods[] = {AuthMethod::password, AuthMethod::md5, AuthMethod::scram_sha_256};
const SecretKind kKinds[] = {SecretKind::clear_text, SecretKind::md5, SecretKind::scram};

std::vector<Credential> credentials() {
  return {NoCredential{}, password_of("pencil"), Md5Hash{*md5_stored("pencil", "anna")},
          derive_keys(password_of("pencil"), kTestSalt, kTestIterations)};
}

bool suffices(const Credential& credential, Exchange exchange) {
  if (std::holds_alternative<Password>(credential)) return true;
  if (std::holds_alternative<Md5Hash>(credential)) return exchange == Exchange::md5;
  if (std::holds_alternative<ScramKeys>(credential)) return exchange == Exchange::scram;
  return false;
}

TEST(AuthenticationPair, every_method_with_every_secret_and_every_credential) {
  for (const AuthMethod method : kMethods) {
    for (const SecretKind kind : kKinds) {
      for (const Credential& credential : credentials()) {
        const auto exchange = exchange_for(method, kind);
        const bool expected = exchange && suffices(credential, *exchange);
        for (const bool tls : {false, true}) {
          auto asking = client_setup(method, {stored_as(kind)});
          auto answering = server_setup(credential);
          asking.tls = answering.tls = tls;
          asking.end_point = answering.end_point = tls ? kTestEndPoint : "";
          const Ending ending = run(asking, answering);
          const auto where = testing::Message()
                             << static_cast<int>(method) << "/" << static_cast<int>(kind) << "/"
                             << credential.index() << " " << ending.reason;
          EXPECT_EQ(ending.let_in, expected) << where;
          EXPECT_EQ(ending.logged_in, expected) << where;
        }
      }
    }
  }
}

TEST(AuthenticationPair, what_a_login_recovers_opens_a_server_of_the_same_kind) {
  for (const AuthMethod method : kMethods) {
    for (const SecretKind kind : kKinds) {
      if (!exchange_for(method, kind)) continue;
      const auto asking = client_setup(method, {stored_as(kind)});
      const Ending client = run(asking, server_setup(password_of("pencil")));
      ASSERT_TRUE(client.logged_in);
      const Ending server = run(asking, server_setup(client.recovered));
      EXPECT_TRUE(server.logged_in)
          << static_cast<int>(method) << "/" << static_cast<int>(kind) << " " << server.reason;
    }
  }
}

TEST(AuthenticationPair, a_login_by_scram_against_a_clear_text_recovers_it) {
  const Ending ending = run(client_setup(AuthMethod::scram_sha_256, {"old", "pencil"}),
                            server_setup(password_of("pencil")));
  EXPECT_EQ(ending.recovered, Credential(password_of("pencil")));
}

TEST(AuthenticationPair, wrong_passwords_unknown_users_and_other_channels_fail) {
  for (const AuthMethod method : kMethods) {
    for (const SecretKind kind : kKinds) {
      if (!exchange_for(method, kind)) continue;
      auto asking = client_setup(method, {stored_as(kind)});
      EXPECT_FALSE(run(asking, server_setup(password_of("pencils"))).let_in);
      asking.secrets = nullptr;
      EXPECT_FALSE(run(asking, server_setup(password_of("pencil"))).let_in);
    }
  }
  auto asking = client_setup(AuthMethod::scram_sha_256, {"pencil"});
  auto answering = server_setup(password_of("pencil"));
  asking.tls = answering.tls = true;
  asking.end_point = kTestEndPoint;
  answering.end_point = std::string(32, '\x01');
  EXPECT_FALSE(run(asking, answering).let_in);
}

TEST(AuthenticationPair, no_damage_to_any_message_lets_anybody_in) {
  for (const AuthMethod method : kMethods) {
    const auto asking = client_setup(method, {"pencil"});
    const auto answering = server_setup(password_of("pencil"));
    std::vector<std::string> bodies(8);
    ASSERT_TRUE(run(asking, answering, [&](std::size_t step, std::string& body) {
                  bodies.at(step) = body;
                }).logged_in);
    for (std::size_t damaged_step = 0; damaged_step < bodies.size(); ++damaged_step) {
      const std::string& body = bodies[damaged_step];
      if (body.empty()) continue;
      for_every_damage(body, [&](const std::string& damaged, const std::string& how) {
        const Ending ending = run(asking, answering, [&](std::size_t step, std::string& passing) {
          if (step == damaged_step) passing = damaged;
        });
        EXPECT_FALSE(ending.logged_in)
            << static_cast<int>(method) << ", step " << damaged_step << ", " << how;
        if (damaged_step % 2 == 1) {
          EXPECT_FALSE(ending.let_in)
              << static_cast<int>(method) << ", step " << damaged_step << ", " << how;
        }
      });
    }
  }
}

}  // namespace
}  // namespace forebay::auth
