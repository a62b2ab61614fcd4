#include "forebay/auth/client_authentication.hpp"

#include "dialogue_helpers.hpp"
#include "forebay/auth/md5.hpp"

namespace forebay::auth {
namespace {

using config::AuthMethod;
using testing::HasSubstr;
using Continue = ClientAuthentication::Continue;
using Success = ClientAuthentication::Success;

const std::string kFirst = "n,,n=,r=" + base64_encode(std::string(kScramNonceSize, 'c'));

std::string initial(const std::string& mechanism, const std::optional<std::string>& response) {
  std::string body = mechanism + '\0';
  char length[4];
  store_u32(length, response ? static_cast<std::uint32_t>(response->size()) : 0xffffffff);
  return body + std::string(length, 4) + response.value_or("");
}

/// Begins, and gives what was asked.
std::string begin(ClientAuthentication& client) {
  std::string out;
  EXPECT_TRUE(std::holds_alternative<Continue>(client.begin(out)));
  return body_of(out, 'R');
}

ClientAuthentication::Outcome answer(ClientAuthentication::Setup setup, const std::string& body) {
  ClientAuthentication client(std::move(setup));
  begin(client);
  std::string out;
  return client.receive(body, out);
}

void expect_refusal(const ClientAuthentication::Outcome& outcome, const std::string& sqlstate,
                    const std::string& message) {
  ASSERT_TRUE(std::holds_alternative<Refusal>(outcome)) << "outcome " << outcome.index();
  const Refusal& refusal = std::get<Refusal>(outcome);
  EXPECT_EQ(refusal.sqlstate, sqlstate);
  EXPECT_THAT(refusal.message, HasSubstr(message));
  EXPECT_FALSE(refusal.reason.empty());
  const pg::Report report = refusal.report();
  EXPECT_EQ(report.severity, "FATAL");
  EXPECT_EQ(report.message, refusal.message);
}

const std::string kWrong = "password authentication failed for user \"anna\"";

TEST(ClientAuthentication, trust_lets_in_at_once) {
  ClientAuthentication client(client_setup(AuthMethod::trust, {}));
  std::string out;
  EXPECT_TRUE(std::holds_alternative<Success>(client.begin(out)));
  EXPECT_TRUE(out.empty()) << "AuthenticationOk is the caller's";
  EXPECT_EQ(client.exchange(), Exchange::none);
  // Nobody asked for a password.
  expect_refusal(client.receive(typed("x"), out), "08P01", "unexpected password message");
}

TEST(ClientAuthentication, trust_lets_in_unknown_users) {
  auto setup = client_setup(AuthMethod::trust, {});
  setup.secrets = nullptr;
  ClientAuthentication client(setup);
  std::string out;
  EXPECT_TRUE(std::holds_alternative<Success>(client.begin(out)));
}

TEST(ClientAuthentication, cert_compares_the_common_name) {
  const auto begin_with = [](const std::string& name) {
    auto setup = client_setup(AuthMethod::cert, {});
    setup.secrets = nullptr;
    setup.tls = true;
    setup.peer_common_name = name;
    std::string out;
    return ClientAuthentication(setup).begin(out);
  };
  EXPECT_TRUE(std::holds_alternative<Success>(begin_with("anna")));
  expect_refusal(begin_with(""), "28000", "connection requires a valid client certificate");
  for (const char* name : {"Anna", "ann", "annax", "berta"}) {
    expect_refusal(begin_with(name), "28000",
                   "certificate authentication failed for user \"anna\"");
  }
}

TEST(ClientAuthentication, password_asks_for_clear_text) {
  ClientAuthentication client(client_setup(AuthMethod::password, {"pencil"}));
  EXPECT_EQ(begin(client), std::string("\0\0\0\3", 4));
  std::string out;
  const auto outcome = client.receive(typed("pencil"), out);
  ASSERT_TRUE(std::holds_alternative<Success>(outcome));
  EXPECT_EQ(std::get<Success>(outcome).recovered, Credential(password_of("pencil")));
  EXPECT_TRUE(out.empty());
}

TEST(ClientAuthentication, password_works_with_every_kind_of_secret) {
  for (const std::string& secret : {std::string("pencil"), verifier_of("pencil").text().reveal(),
                                    md5_stored("pencil", "anna")->reveal()}) {
    const auto setup = client_setup(AuthMethod::password, {"other", secret});
    EXPECT_TRUE(std::holds_alternative<Success>(answer(setup, typed("pencil"))));
    EXPECT_TRUE(std::holds_alternative<Success>(answer(setup, typed("other"))));
    expect_refusal(answer(setup, typed("pencils")), "28P01", kWrong);
    if (secret != "pencil") expect_refusal(answer(setup, typed(secret)), "28P01", kWrong);
  }
}

TEST(ClientAuthentication, password_is_not_asked_over_an_unprotected_connection) {
  auto setup = client_setup(AuthMethod::password, {"pencil"});
  setup.cleartext_allowed = false;
  ClientAuthentication client(setup);
  std::string out;
  expect_refusal(client.begin(out), "28000", "sslmode=require");
  EXPECT_TRUE(out.empty());
  expect_refusal(client.receive(typed("pencil"), out), "08P01", "unexpected");
}

TEST(ClientAuthentication, password_messages_are_checked) {
  for (const AuthMethod method : {AuthMethod::password, AuthMethod::md5}) {
    const auto setup = client_setup(method, {"pencil"});
    expect_refusal(answer(setup, ""), "08P01", "invalid password packet size");
    expect_refusal(answer(setup, "pencil"), "08P01", "invalid password packet size");
    expect_refusal(answer(setup, typed("pencil") + "x"), "08P01", "invalid password packet size");
    expect_refusal(answer(setup, typed("pencil") + '\0'), "08P01", "invalid password packet size");
    expect_refusal(answer(setup, typed("")), "28P01", "empty password returned by client");
  }
  expect_refusal(answer(client_setup(AuthMethod::password, {"pencil"}),
                        typed(std::string(kPasswordMax + 1, 'x'))),
                 "08P01", "invalid password packet size");
  EXPECT_TRUE(std::holds_alternative<Success>(
      answer(client_setup(AuthMethod::password, {std::string(kPasswordMax, 'x')}),
             typed(std::string(kPasswordMax, 'x')))));
}

TEST(ClientAuthentication, md5_asks_with_a_salt_and_recovers_the_hash) {
  ClientAuthentication client(client_setup(AuthMethod::md5, {"old", "pencil"}));
  EXPECT_EQ(begin(client), std::string("\0\0\0\5abcd", 8));
  EXPECT_EQ(client.exchange(), Exchange::md5);
  const auto stored = md5_stored("pencil", "anna");
  std::string out;
  const auto outcome = client.receive(typed(*md5_response(stored->reveal(), "abcd")), out);
  ASSERT_TRUE(std::holds_alternative<Success>(outcome));
  EXPECT_EQ(std::get<Success>(outcome).recovered, Credential(Md5Hash{*stored}));
}

TEST(ClientAuthentication, md5_refuses_every_damaged_answer) {
  const auto setup = client_setup(AuthMethod::md5, {"pencil"});
  const std::string right = typed(*md5_response(md5_stored("pencil", "anna")->reveal(), "abcd"));
  for_every_damage(right, [&](const std::string& damaged, const std::string& how) {
    EXPECT_TRUE(std::holds_alternative<Refusal>(answer(setup, damaged))) << how;
  });
  expect_refusal(answer(setup, typed("pencil")), "28P01", kWrong);
  expect_refusal(
      answer(setup, typed(*md5_response(md5_stored("pencil", "anna")->reveal(), "abce"))), "28P01",
      kWrong);
}

TEST(ClientAuthentication, md5_gives_way_to_scram_for_a_verifier) {
  ClientAuthentication client(
      client_setup(AuthMethod::md5, {verifier_of("pencil").text().reveal()}));
  EXPECT_EQ(begin(client), std::string("\0\0\0\x0aSCRAM-SHA-256\0\0", 19));
  EXPECT_EQ(client.exchange(), Exchange::scram);
}

TEST(ClientAuthentication, scram_offers_plus_over_tls_only) {
  auto setup = client_setup(AuthMethod::scram_sha_256, {"pencil"});
  const std::string plain("\0\0\0\x0aSCRAM-SHA-256\0\0", 19);
  const std::string both("\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", 38);
  {
    ClientAuthentication client(setup);
    EXPECT_EQ(begin(client), plain);
  }
  setup.tls = true;
  {
    ClientAuthentication client(setup);
    EXPECT_EQ(begin(client), plain) << "no hash of our certificate";
  }
  setup.end_point = kTestEndPoint;
  {
    ClientAuthentication client(setup);
    EXPECT_EQ(begin(client), both);
  }
  setup.tls = false;
  {
    ClientAuthentication client(setup);
    EXPECT_EQ(begin(client), plain);
  }
}

TEST(ClientAuthentication, scram_takes_only_mechanisms_that_it_offered) {
  const auto setup = client_setup(AuthMethod::scram_sha_256, {"pencil"});
  for (const char* mechanism :
       {"SCRAM-SHA-256-PLUS", "scram-sha-256", "SCRAM-SHA-1", "", "SCRAM-SHA-256 ", "PLAIN"}) {
    expect_refusal(answer(setup, initial(mechanism, kFirst)), "08P01",
                   "client selected an invalid SASL authentication mechanism");
  }
  EXPECT_TRUE(std::holds_alternative<Continue>(answer(setup, initial("SCRAM-SHA-256", kFirst))));
}

TEST(ClientAuthentication, scram_checks_the_initial_response) {
  const auto setup = client_setup(AuthMethod::scram_sha_256, {"pencil"});
  const std::string whole = initial("SCRAM-SHA-256", kFirst);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    expect_refusal(answer(setup, whole.substr(0, i)), "08P01", "");
  }
  expect_refusal(answer(setup, whole + "x"), "08P01", "malformed SASLInitialResponse");
  std::string negative = initial("SCRAM-SHA-256", std::nullopt);
  negative.back() = '\xfe';
  expect_refusal(answer(setup, negative), "08P01", "malformed SASLInitialResponse");
  expect_refusal(answer(setup, initial("SCRAM-SHA-256", "")), "08P01", "malformed SCRAM message");
}

TEST(ClientAuthentication, scram_waits_for_a_client_that_sends_its_first_message_later) {
  ClientAuthentication client(client_setup(AuthMethod::scram_sha_256, {"pencil"}));
  begin(client);
  std::string out;
  ASSERT_TRUE(std::holds_alternative<Continue>(
      client.receive(initial("SCRAM-SHA-256", std::nullopt), out)));
  EXPECT_EQ(body_of(out, 'R'), std::string("\0\0\0\x0b", 4));
  out.clear();
  ASSERT_TRUE(std::holds_alternative<Continue>(client.receive(kFirst, out)));
  EXPECT_THAT(body_of(out, 'R'), HasSubstr(",s=" + base64_encode(kTestSalt)));
}

TEST(ClientAuthentication, scram_tells_violations_as_postgresql_does) {
  const auto outcome = answer(client_setup(AuthMethod::scram_sha_256, {"pencil"}),
                              initial("SCRAM-SHA-256", "n,a=admin,n=,r=x"));
  expect_refusal(outcome, "0A000", "client uses authorization identity, but it is not supported");
  auto setup = client_setup(AuthMethod::scram_sha_256, {"pencil"});
  setup.tls = true;
  setup.end_point = kTestEndPoint;
  const auto downgrade = answer(setup, initial("SCRAM-SHA-256", "y" + kFirst.substr(1)));
  expect_refusal(downgrade, "28000", "SCRAM channel binding negotiation error");
  EXPECT_THAT(std::get<Refusal>(downgrade).detail, HasSubstr("this server does support"));
}

/// What a client sees of a dialogue that ends in a wrong password: every byte, and the refusal.
std::string seen(ClientAuthentication::Setup setup) {
  ClientAuthentication client(std::move(setup));
  std::string shown;
  auto outcome = client.begin(shown);
  const auto receive = [&](const std::string& body) {
    if (std::holds_alternative<Continue>(outcome)) outcome = client.receive(body, shown);
  };
  if (client.exchange() == Exchange::scram) {
    receive(initial("SCRAM-SHA-256", kFirst));
    const auto at = shown.find("r=");
    const std::string nonce = shown.substr(at + 2, shown.find(",s=") - at - 2);
    receive("c=biws,r=" + nonce + ",p=" + base64_encode(std::string(32, 'p')));
  } else {
    receive(typed("guess"));
  }
  const auto* refusal = std::get_if<Refusal>(&outcome);
  EXPECT_NE(refusal, nullptr);
  if (refusal) shown += refusal->sqlstate + refusal->message + refusal->detail;
  return shown;
}

TEST(ClientAuthentication, unknown_users_see_what_known_ones_see) {
  for (const AuthMethod method :
       {AuthMethod::password, AuthMethod::md5, AuthMethod::scram_sha_256}) {
    auto known = client_setup(method, {"pencil"});
    // The known user's clear text got its salt in the same way as the mock.
    const auto made = UserSecrets::make("anna", {secret_of("pencil")}, known.mock);
    known.secrets = std::make_shared<const UserSecrets>(*made);
    auto unknown = known;
    unknown.secrets = nullptr;
    EXPECT_EQ(seen(known), seen(unknown)) << static_cast<int>(method);
    unknown.secrets = shared_secrets({});
    EXPECT_EQ(seen(known), seen(unknown)) << "no password stored";
    EXPECT_THAT(seen(unknown), HasSubstr("28P01" + kWrong));
  }
}

TEST(ClientAuthentication, unknown_users_look_like_those_with_verifiers_where_these_are_usual) {
  auto setup = client_setup(AuthMethod::md5, {});
  setup.unknown_kind = SecretKind::scram;
  for (const auto& secrets : {shared_secrets({}), std::shared_ptr<const UserSecrets>()}) {
    setup.secrets = secrets;
    ClientAuthentication client(setup);
    std::string out;
    client.begin(out);
    EXPECT_EQ(client.exchange(), Exchange::scram);
    EXPECT_THAT(seen(setup), HasSubstr("28P01" + kWrong));
  }
  setup.method = AuthMethod::password;
  EXPECT_THAT(seen(setup), HasSubstr("28P01" + kWrong));
}

TEST(ClientAuthentication, an_md5_hash_cannot_do_scram_and_only_the_log_says_so) {
  auto setup = client_setup(AuthMethod::scram_sha_256, {md5_stored("pencil", "anna")->reveal()});
  auto unknown = setup;
  unknown.secrets = nullptr;
  EXPECT_EQ(seen(setup), seen(unknown));

  ClientAuthentication client(setup);
  begin(client);
  std::string out;
  client.receive(initial("SCRAM-SHA-256", kFirst), out);
  const std::string first = body_of(out, 'R').substr(4);
  const auto outcome = client.receive("c=biws" + ("," + first.substr(0, first.find(",s="))) +
                                          ",p=" + base64_encode(std::string(32, 'p')),
                                      out);
  expect_refusal(outcome, "28P01", kWrong);
  EXPECT_THAT(std::get<Refusal>(outcome).reason, HasSubstr("MD5 hash"));
}

TEST(ClientAuthentication, unknown_users_are_refused_whatever_kind_is_usual) {
  for (const AuthMethod method :
       {AuthMethod::password, AuthMethod::md5, AuthMethod::scram_sha_256}) {
    for (const SecretKind kind : {SecretKind::clear_text, SecretKind::md5, SecretKind::scram}) {
      auto setup = client_setup(method, {});
      setup.secrets = nullptr;
      setup.unknown_kind = kind;
      EXPECT_THAT(seen(setup), HasSubstr("28P01" + kWrong));
    }
  }
}

TEST(ClientAuthentication, the_mock_md5_hash_lets_nobody_in) {
  auto setup = client_setup(AuthMethod::md5, {});
  setup.secrets = nullptr;
  for (const char digit : {'0', 'f'}) {
    const std::string stored = "md5" + std::string(32, digit);
    expect_refusal(answer(setup, typed(*md5_response(stored, "abcd"))), "28P01", kWrong);
  }
}

TEST(ClientAuthentication, one_attempt_is_all_there_is) {
  ClientAuthentication client(client_setup(AuthMethod::password, {"pencil"}));
  begin(client);
  std::string out;
  expect_refusal(client.receive(typed("wrong"), out), "28P01", kWrong);
  expect_refusal(client.receive(typed("pencil"), out), "08P01", "unexpected password message");
}

}  // namespace
}  // namespace forebay::auth
