#include "forebay/auth/server_authentication.hpp"

#include "dialogue_helpers.hpp"
#include "forebay/auth/md5.hpp"

namespace forebay::auth {
namespace {

using pg::backend::AuthenticationCode;
using testing::HasSubstr;
using Continue = ServerAuthentication::Continue;
using NeedKeys = ServerAuthentication::NeedKeys;
using Success = ServerAuthentication::Success;

const std::string kOurs = base64_encode(std::string(kScramNonceSize, 'c'));
const std::string kServerFirst = "r=" + kOurs + "servers,s=" + base64_encode(kTestSalt) + ",i=3";

std::string message(AuthenticationCode code, const std::string& payload = "") {
  char bytes[4];
  store_u32(bytes, static_cast<std::uint32_t>(code));
  return std::string(bytes, 4) + payload;
}
const std::string kOk = message(AuthenticationCode::Ok);
const std::string kClearText = message(AuthenticationCode::CleartextPassword);
const std::string kMd5 = message(AuthenticationCode::MD5Password, "abcd");
const std::string kSasl = message(AuthenticationCode::SASL, std::string("SCRAM-SHA-256\0\0", 15));
const std::string kSaslPlus =
    message(AuthenticationCode::SASL, std::string("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", 34));

ScramKeys pencil_keys() {
  return derive_keys(password_of("pencil"), kTestSalt, kTestIterations);
}

void expect_error(const ServerAuthentication::Outcome& outcome, const std::string& sqlstate,
                  const std::string& text) {
  ASSERT_TRUE(std::holds_alternative<Error>(outcome)) << "outcome " << outcome.index();
  EXPECT_EQ(std::get<Error>(outcome).sqlstate, sqlstate);
  EXPECT_THAT(std::get<Error>(outcome).message, HasSubstr(text));
}

ServerAuthentication::Outcome react(ServerAuthentication::Setup setup, const std::string& body) {
  std::string out;
  const auto outcome = ServerAuthentication(std::move(setup)).receive(body, out);
  EXPECT_TRUE(std::holds_alternative<Continue>(outcome) || out.empty());
  return outcome;
}

TEST(ServerAuthentication, takes_a_server_that_asks_nothing) {
  for (const Credential& credential :
       {Credential(NoCredential{}), Credential(password_of("pencil")), Credential(pencil_keys())}) {
    EXPECT_TRUE(std::holds_alternative<Success>(react(server_setup(credential), kOk)));
  }
}

TEST(ServerAuthentication, sends_a_clear_password_where_that_is_allowed) {
  ServerAuthentication server(server_setup(password_of("p\xc3\xa4ss")));
  std::string out;
  ASSERT_TRUE(std::holds_alternative<Continue>(server.receive(kClearText, out)));
  EXPECT_EQ(body_of(out, 'p'), typed("p\xc3\xa4ss"));
  EXPECT_TRUE(std::holds_alternative<Success>(server.receive(kOk, out)));
}

TEST(ServerAuthentication, never_sends_a_clear_password_over_an_unprotected_connection) {
  auto setup = server_setup(password_of("pencil"));
  setup.cleartext_allowed = false;
  expect_error(react(setup, kClearText), "28000", "not protected");
}

TEST(ServerAuthentication, answers_md5_from_a_password_or_its_hash) {
  const auto stored = md5_stored("pencil", "anna");
  for (const Credential& credential :
       {Credential(password_of("pencil")), Credential(Md5Hash{*stored})}) {
    ServerAuthentication server(server_setup(credential));
    std::string out;
    ASSERT_TRUE(std::holds_alternative<Continue>(server.receive(kMd5, out)));
    EXPECT_EQ(body_of(out, 'p'), typed(*md5_response(stored->reveal(), "abcd")));
    EXPECT_TRUE(std::holds_alternative<Success>(server.receive(kOk, out)));
  }
}

TEST(ServerAuthentication, tells_which_credential_is_missing) {
  const Credential hash = Md5Hash{*md5_stored("pencil", "anna")};
  const Credential keys = pencil_keys();
  const Credential none = NoCredential{};
  expect_error(react(server_setup(hash), kClearText), "28P01", "only its MD5 hash is known");
  expect_error(react(server_setup(keys), kClearText), "28P01", "only its SCRAM keys are known");
  expect_error(react(server_setup(none), kClearText), "28P01", "no password is known");
  expect_error(react(server_setup(keys), kMd5), "28P01", "only its SCRAM keys are known");
  expect_error(react(server_setup(none), kMd5), "28P01", "no password is known");
  expect_error(react(server_setup(hash), kSasl), "28P01", "only its MD5 hash is known");
  expect_error(react(server_setup(none), kSasl), "28P01", "no password is known");
}

TEST(ServerAuthentication, names_methods_that_it_does_not_support) {
  const auto setup = server_setup(password_of("pencil"));
  expect_error(react(setup, message(AuthenticationCode::GSS)), "28000", "GSSAPI");
  expect_error(react(setup, message(AuthenticationCode::GSSContinue, "x")), "28000", "GSSAPI");
  expect_error(react(setup, message(AuthenticationCode::SSPI)), "28000", "SSPI");
  expect_error(react(setup, message(AuthenticationCode::KerberosV5)), "28000", "Kerberos V5");
  expect_error(react(setup, message(static_cast<AuthenticationCode>(4), "xy")), "28000",
               "the unknown method 4");
  expect_error(react(setup, message(static_cast<AuthenticationCode>(0xffffffff))), "28000",
               "the unknown method 4294967295");
  expect_error(react(setup, message(AuthenticationCode::SASL, std::string("OAUTHBEARER\0\0", 13))),
               "28000", "OAUTHBEARER");
}

TEST(ServerAuthentication, checks_the_form_of_every_request) {
  const auto setup = server_setup(password_of("pencil"));
  for (const std::string& body :
       {std::string(), std::string("\0\0\0", 3), kOk + "x", kClearText + "x",
        message(AuthenticationCode::MD5Password), message(AuthenticationCode::MD5Password, "abc"),
        message(AuthenticationCode::MD5Password, "abcde"), message(AuthenticationCode::SASL),
        message(AuthenticationCode::SASL, std::string("\0", 1)),
        message(AuthenticationCode::SASL, "SCRAM-SHA-256"),
        message(AuthenticationCode::SASL, std::string("SCRAM-SHA-256\0", 14)),
        message(AuthenticationCode::SASL, std::string("SCRAM-SHA-256\0\0x", 16))}) {
    expect_error(react(setup, body), "08P01", "malformed");
  }
  expect_error(react(setup, message(AuthenticationCode::SASLContinue, kServerFirst)), "08P01",
               "without having begun");
  expect_error(react(setup, message(AuthenticationCode::SASLFinal, "v=x")), "08P01",
               "without having begun");
}

TEST(ServerAuthentication, answers_one_request_only) {
  // A server that got an MD5 answer and then wants the clear text is fishing.
  for (const std::string& first : {kMd5, kClearText}) {
    for (const std::string& second : {kMd5, kClearText, kSasl, kOk + "x"}) {
      ServerAuthentication server(server_setup(password_of("pencil")));
      std::string out;
      ASSERT_TRUE(std::holds_alternative<Continue>(server.receive(first, out)));
      out.clear();
      expect_error(server.receive(second, out), "08P01", "after it was answered");
      EXPECT_TRUE(out.empty());
      expect_error(server.receive(kOk, out), "08P01", "after it was answered");
    }
  }
  ServerAuthentication server(server_setup(password_of("pencil")));
  std::string out;
  EXPECT_TRUE(std::holds_alternative<Success>(server.receive(kOk, out)));
  expect_error(server.receive(kClearText, out), "08P01", "after it was answered");
}

TEST(ServerAuthentication, begins_scram_with_the_best_mechanism) {
  auto setup = server_setup(password_of("pencil"));
  const auto begin = [&](const std::string& request) {
    std::string out;
    ServerAuthentication server(setup);
    EXPECT_TRUE(std::holds_alternative<Continue>(server.receive(request, out)));
    const std::string body = body_of(out, 'p');
    const auto initial = pg::frontend::SASLInitialResponse::parse(body);
    return std::string(initial->mechanism) + " " + std::string(*initial->response);
  };
  EXPECT_EQ(begin(kSasl), "SCRAM-SHA-256 n,,n=,r=" + kOurs);
  setup.tls = true;
  EXPECT_EQ(begin(kSasl), "SCRAM-SHA-256 n,,n=,r=" + kOurs);
  EXPECT_EQ(begin(kSaslPlus), "SCRAM-SHA-256 n,,n=,r=" + kOurs);
  setup.end_point = kTestEndPoint;
  EXPECT_EQ(begin(kSasl), "SCRAM-SHA-256 y,,n=,r=" + kOurs);
  EXPECT_EQ(begin(kSaslPlus), "SCRAM-SHA-256-PLUS p=tls-server-end-point,,n=,r=" + kOurs);
  setup.tls = false;
  expect_error(react(setup, kSaslPlus), "08P01", "without TLS");
}

TEST(ServerAuthentication, asks_for_keys_and_goes_on_with_them) {
  ServerAuthentication server(server_setup(password_of("pencil")));
  std::string out;
  server.receive(kSasl, out);
  out.clear();
  const auto asks = server.receive(message(AuthenticationCode::SASLContinue, kServerFirst), out);
  ASSERT_TRUE(std::holds_alternative<NeedKeys>(asks));
  EXPECT_EQ(std::get<NeedKeys>(asks).request.salt, kTestSalt);
  EXPECT_TRUE(out.empty());
  EXPECT_TRUE(std::holds_alternative<Continue>(server.supply(pencil_keys(), out)));
  EXPECT_THAT(body_of(out, 'p'), HasSubstr("c=biws,r=" + kOurs + "servers,p="));
}

TEST(ServerAuthentication, a_server_that_skips_its_proof_is_refused) {
  for (int steps = 1; steps <= 2; ++steps) {
    ServerAuthentication server(server_setup(pencil_keys()));
    std::string out;
    server.receive(kSasl, out);
    if (steps == 2) server.receive(message(AuthenticationCode::SASLContinue, kServerFirst), out);
    expect_error(server.receive(kOk, out), "28000", "before it proved by SCRAM");
  }
  // Nor while we compute.
  ServerAuthentication server(server_setup(password_of("pencil")));
  std::string out;
  server.receive(kSasl, out);
  server.receive(message(AuthenticationCode::SASLContinue, kServerFirst), out);
  expect_error(server.receive(kOk, out), "28000", "before it proved by SCRAM");
}

TEST(ServerAuthentication, a_server_that_changes_its_mind_is_refused) {
  for (const std::string& request : {kClearText, kMd5, kSasl, message(AuthenticationCode::GSS)}) {
    ServerAuthentication server(server_setup(password_of("pencil")));
    std::string out;
    server.receive(kSasl, out);
    out.clear();
    expect_error(server.receive(request, out), "08P01", "in the middle of SCRAM");
    EXPECT_TRUE(out.empty());
  }
}

TEST(ServerAuthentication, scram_messages_come_under_their_own_names) {
  {
    ServerAuthentication server(server_setup(pencil_keys()));
    std::string out;
    server.receive(kSasl, out);
    expect_error(server.receive(message(AuthenticationCode::SASLFinal, kServerFirst), out), "08P01",
                 "before its time");
  }
  {
    // The right signature, but as SASLContinue.
    ServerAuthentication server(server_setup(pencil_keys()));
    std::string out;
    server.receive(kSasl, out);
    out.clear();
    server.receive(message(AuthenticationCode::SASLContinue, kServerFirst), out);
    const std::string final = body_of(out, 'p');
    const Key signature = scram_signature(pencil_keys().server_key, "n=,r=" + kOurs, kServerFirst,
                                          final.substr(0, final.find(",p=")));
    const std::string proof = "v=" + base64_encode(signature.bytes());
    expect_error(server.receive(message(AuthenticationCode::SASLContinue, proof), out), "08P01",
                 "after its end");
  }
}

TEST(ServerAuthentication, errors_of_scram_pass_through) {
  {
    auto keys = pencil_keys();
    keys.salt = "another";
    ServerAuthentication server(server_setup(keys));
    std::string out;
    server.receive(kSasl, out);
    expect_error(server.receive(message(AuthenticationCode::SASLContinue, kServerFirst), out),
                 "28P01", "SCRAM keys do not belong");
  }
  ServerAuthentication server(server_setup(pencil_keys()));
  std::string out;
  server.receive(kSasl, out);
  server.receive(message(AuthenticationCode::SASLContinue, kServerFirst), out);
  expect_error(server.receive(message(AuthenticationCode::SASLFinal, "e=invalid-proof"), out),
               "28P01", "invalid-proof");
  expect_error(server.receive(kOk, out), "08P01", "after it was answered");
}

}  // namespace
}  // namespace forebay::auth
