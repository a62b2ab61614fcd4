#include "forebay/auth/scram_client.hpp"

#include <utility>

#include "auth/crypto.hpp"
#include "helpers.hpp"

namespace forebay::auth {
namespace {

using testing::HasSubstr;
using Continue = ScramClient::Continue;
using NeedKeys = ScramClient::NeedKeys;
using Success = ScramClient::Success;

const std::string kOurs = base64_encode(std::string(kScramNonceSize, 'c'));

ScramKeys pencil_keys() {
  return derive_keys(password_of("pencil"), kTestSalt, kTestIterations);
}
ScramClient::Setup by_keys() {
  return {.secret = pencil_keys(), .nonce = nonce_of('c')};
}
ScramClient::Setup by_password() {
  return {.secret = password_of("pencil"), .nonce = nonce_of('c')};
}

std::string server_first(const std::string& nonce = kOurs + "servers",
                         const std::string& salt = base64_encode(kTestSalt),
                         const std::string& iterations = "3", const std::string& rest = "") {
  return "r=" + nonce + ",s=" + salt + ",i=" + iterations + rest;
}

/// What a server that knows the password answers to client-final.
std::string server_final(const std::string& first, const std::string& client_final) {
  const Key signature = scram_signature(pencil_keys().server_key, "n=,r=" + kOurs, first,
                                        client_final.substr(0, client_final.find(",p=")));
  return "v=" + base64_encode(signature.bytes());
}

void expect_error(const ScramClient::Outcome& outcome, const std::string& sqlstate,
                  const std::string& text) {
  ASSERT_TRUE(std::holds_alternative<Error>(outcome)) << "outcome " << outcome.index();
  EXPECT_EQ(std::get<Error>(outcome).sqlstate, sqlstate);
  EXPECT_THAT(std::get<Error>(outcome).message, HasSubstr(text));
}

TEST(ScramClient, begins_as_libpq_does) {
  auto setup = by_keys();
  EXPECT_EQ(ScramClient(setup).first_message(), "n,,n=,r=" + kOurs);
  EXPECT_STREQ(ScramClient(setup).mechanism(), "SCRAM-SHA-256");
  setup.binding = ChannelBinding::not_offered;
  EXPECT_EQ(ScramClient(setup).first_message(), "y,,n=,r=" + kOurs);
  EXPECT_STREQ(ScramClient(setup).mechanism(), "SCRAM-SHA-256");
  setup.binding = ChannelBinding::end_point;
  setup.end_point = kTestEndPoint;
  EXPECT_EQ(ScramClient(setup).first_message(), "p=tls-server-end-point,,n=,r=" + kOurs);
  EXPECT_STREQ(ScramClient(setup).mechanism(), "SCRAM-SHA-256-PLUS");
}

TEST(ScramClient, proves_itself_by_keys_at_once) {
  ScramClient client(by_keys());
  const auto proven = client.receive(server_first());
  ASSERT_TRUE(std::holds_alternative<Continue>(proven));
  const std::string message = std::get<Continue>(proven).message;
  EXPECT_EQ(message.substr(0, message.find(",p=")), "c=biws,r=" + kOurs + "servers");
  EXPECT_TRUE(
      std::holds_alternative<Success>(client.receive(server_final(server_first(), message))));
}

TEST(ScramClient, asks_for_the_keys_of_its_password) {
  ScramClient client(by_password());
  const auto asks = client.receive(server_first());
  ASSERT_TRUE(std::holds_alternative<NeedKeys>(asks));
  const KeyRequest request = std::get<NeedKeys>(asks).request;
  EXPECT_EQ(request.password, password_of("pencil").identity());
  EXPECT_EQ(request.salt, kTestSalt);
  EXPECT_EQ(request.iterations, kTestIterations);

  ScramClient with_keys(by_keys());
  const auto by_password_message = std::get<Continue>(client.supply(pencil_keys())).message;
  const auto by_keys_message = std::get<Continue>(with_keys.receive(server_first())).message;
  EXPECT_EQ(by_password_message, by_keys_message);
  EXPECT_TRUE(std::holds_alternative<Success>(
      client.receive(server_final(server_first(), by_password_message))));
}

TEST(ScramClient, a_server_that_does_not_wait_for_the_keys_is_refused) {
  ScramClient client(by_password());
  ASSERT_TRUE(std::holds_alternative<NeedKeys>(client.receive(server_first())));
  expect_error(client.receive(server_first()), "08P01", "out of turn");
}

TEST(ScramClient, refuses_a_nonce_that_does_not_extend_ours) {
  std::string other = kOurs;
  other[5] = 'x';
  for (const std::string& nonce :
       {kOurs, other + "servers", "x" + kOurs + "servers", std::string("servers"), std::string(),
        kOurs.substr(0, 10), kOurs + "ser vers", kOurs + "s\x7f", kOurs + "\xff",
        kOurs + std::string(kScramNonceMax, 'x')}) {
    expect_error(ScramClient(by_keys()).receive(server_first(nonce)), "08P01", "nonce");
  }
  EXPECT_TRUE(std::holds_alternative<Continue>(ScramClient(by_keys()).receive(
      server_first(kOurs + std::string(kScramNonceMax - kOurs.size(), 'x')))));
}

TEST(ScramClient, refuses_impossible_salts) {
  for (const std::string& salt : {std::string(), std::string("x"), std::string("AB=="),
                                  base64_encode(std::string(kScramSaltMax + 1, 's'))}) {
    expect_error(ScramClient(by_password()).receive(server_first(kOurs + "s", salt)), "08P01",
                 "salt");
  }
  EXPECT_TRUE(std::holds_alternative<NeedKeys>(
      ScramClient(by_password())
          .receive(server_first(kOurs + "s", base64_encode(std::string(kScramSaltMax, 's'))))));
}

TEST(ScramClient, bounds_the_iterations_that_it_computes) {
  const auto receive = [](const std::string& iterations) {
    return ScramClient(by_password())
        .receive(server_first(kOurs + "s", base64_encode(kTestSalt), iterations));
  };
  for (const char* iterations : {"", "0", "-1", "03", "3x", " 3", "2147483648", "99999999999"}) {
    expect_error(receive(iterations), "08P01", "iteration count");
  }
  EXPECT_TRUE(std::holds_alternative<NeedKeys>(receive("100000")));
  expect_error(receive("100001"), "54000", "over the limit of 100000");
  expect_error(receive("2147483647"), "54000", "over the limit of 100000");
}

TEST(ScramClient, refuses_keys_of_another_verifier) {
  expect_error(
      ScramClient(by_keys()).receive(server_first(kOurs + "s", base64_encode("another salt"))),
      "28P01", "SCRAM keys");
  expect_error(
      ScramClient(by_keys()).receive(server_first(kOurs + "s", base64_encode(kTestSalt), "4")),
      "28P01", "SCRAM keys");
  // Keys cost nothing, so their count is not bounded by what we would compute.
  auto setup = by_keys();
  std::get<ScramKeys>(setup.secret).iterations = 2'000'000;
  EXPECT_TRUE(std::holds_alternative<Continue>(
      ScramClient(setup).receive(server_first(kOurs + "s", base64_encode(kTestSalt), "2000000"))));
}

TEST(ScramClient, refuses_malformed_first_messages) {
  for (const std::string& message :
       {std::string(), std::string("r"), "r=" + kOurs + "s", "r=" + kOurs + "s,s=AA==",
        "s=AA==,r=" + kOurs + "s,i=3", "r=" + kOurs + "s,i=3,s=AA==", server_first() + ",",
        server_first() + ",i=3", server_first() + ",v=x", server_first() + ",x",
        "x=1," + server_first(), server_first() + std::string("\0", 1),
        std::string("e=other-error"), server_first() + ",1=x"}) {
    expect_error(ScramClient(by_keys()).receive(message), "08P01",
                 "malformed SCRAM message from the server");
  }
  expect_error(
      ScramClient(by_keys()).receive(server_first(kOurs + "s", base64_encode(kTestSalt), "3",
                                                  ",x=" + std::string(kScramMessageMax, 'x'))),
      "08P01", "longer than 2047 bytes");
}

TEST(ScramClient, refuses_mandatory_extensions_and_passes_others) {
  expect_error(ScramClient(by_keys()).receive("m=x," + server_first()), "08P01", "\"m\"");
  expect_error(ScramClient(by_keys()).receive(server_first() + ",m=x"), "08P01", "\"m\"");
  EXPECT_TRUE(
      std::holds_alternative<Continue>(ScramClient(by_keys()).receive(server_first() + ",x=1")));
}

TEST(ScramClient, refuses_a_server_that_does_not_know_the_password) {
  const auto finish = [](const std::string& message) {
    ScramClient client(by_keys());
    client.receive(server_first());
    return client.receive(message);
  };
  expect_error(finish("v=" + base64_encode(std::string(32, '\0'))), "28000",
               "did not prove that it knows the password");
  for (const std::string& message :
       {std::string("v="), std::string("v"), std::string("x=1"), std::string(),
        "v=" + base64_encode(std::string(31, 'x')), "v=" + base64_encode(std::string(33, 'x')),
        std::string("v=????"), server_first()}) {
    expect_error(finish(message), "08P01", "malformed SCRAM message from the server");
  }
}

TEST(ScramClient, refuses_what_follows_the_signature) {
  for (const char* rest : {",", ",v=x", ",m=x", ",x", "x", "\n"}) {
    ScramClient client(by_keys());
    const auto proven = std::get<Continue>(client.receive(server_first())).message;
    EXPECT_TRUE(
        std::holds_alternative<Error>(client.receive(server_final(server_first(), proven) + rest)))
        << rest;
  }
}

TEST(ScramClient, tells_the_error_that_a_server_sends) {
  ScramClient client(by_keys());
  client.receive(server_first());
  expect_error(client.receive("e=invalid-proof"), "28P01", "invalid-proof");
  ScramClient hostile(by_keys());
  hostile.receive(server_first());
  expect_error(hostile.receive("e=\x1b[2J" + std::string(1000, 'x')), "28P01", "?[2Jxxx");
}

TEST(ScramClient, is_over_after_the_end) {
  ScramClient client(by_keys());
  client.receive(server_first());
  expect_error(client.receive("v="), "08P01", "malformed");
  expect_error(client.receive(server_first()), "08P01", "out of turn");
}

TEST(ScramMechanism, is_chosen_as_libpq_does) {
  const std::vector<Bytes> both = {kScramSha256Plus, kScramSha256};
  const std::vector<Bytes> plain = {kScramSha256};
  EXPECT_EQ(*choose_scram(plain, false, ""), ChannelBinding::unsupported);
  EXPECT_EQ(*choose_scram(both, true, kTestEndPoint), ChannelBinding::end_point);
  EXPECT_EQ(*choose_scram({kScramSha256Plus}, true, kTestEndPoint), ChannelBinding::end_point);
  EXPECT_EQ(*choose_scram(plain, true, kTestEndPoint), ChannelBinding::not_offered);
  // No hash of the certificate: we do not support channel binding here, and say so.
  EXPECT_EQ(*choose_scram(plain, true, ""), ChannelBinding::unsupported);
  EXPECT_EQ(*choose_scram(both, true, ""), ChannelBinding::unsupported);
}

TEST(ScramMechanism, is_refused_where_none_will_do) {
  const auto tampered = choose_scram({kScramSha256Plus, kScramSha256}, false, "");
  ASSERT_FALSE(tampered);
  EXPECT_EQ(tampered.error().sqlstate, "08P01");
  for (const std::vector<Bytes>& offered :
       {std::vector<Bytes>{}, {"OAUTHBEARER"}, {"SCRAM-SHA-1", "scram-sha-256"}}) {
    const auto choice = choose_scram(offered, true, kTestEndPoint);
    ASSERT_FALSE(choice);
    EXPECT_EQ(choice.error().sqlstate, "28000");
  }
  EXPECT_THAT(choose_scram({"OAUTH\x01"}, true, "").error().message, HasSubstr("OAUTH?"));
  EXPECT_FALSE(choose_scram({kScramSha256Plus}, true, ""));
}

}  // namespace
}  // namespace forebay::auth
