#include "forebay/auth/scram_server.hpp"

#include <utility>

#include "auth/crypto.hpp"
#include "helpers.hpp"

namespace forebay::auth {
namespace {

using testing::HasSubstr;
using Continue = ScramServer::Continue;
using Success = ScramServer::Success;
using Violation = ScramServer::Violation;
using WrongProof = ScramServer::WrongProof;

const std::string kNonce = "rOprNGfwEbeRWgbNEkqO";
const std::string kFirstBare = "n=,r=" + kNonce;
const std::string kPlus = "p=tls-server-end-point,,";

ScramServer::Setup plain() {
  return {.verifiers = {verifier_of("pencil")}, .nonce = nonce_of('s')};
}
ScramServer::Setup over_tls() {
  auto setup = plain();
  setup.plus_offered = true;
  setup.end_point = kTestEndPoint;
  return setup;
}
ScramServer::Setup with_plus() {
  auto setup = over_tls();
  setup.plus_selected = true;
  return setup;
}

/// A client that can be told to do each thing wrong.
struct Client {
  std::string gs2 = "n,,";
  std::string first_bare = kFirstBare;
  std::string password = "pencil";
  std::string bound = "n,,";  ///< what c= encodes
  std::string nonce;          ///< empty: the server's
  std::string extensions;     ///< between nonce and proof
  std::string after_proof;
  std::optional<std::string> proof;

  [[nodiscard]] std::string first() const { return gs2 + first_bare; }

  [[nodiscard]] std::string final(const std::string& server_first) const {
    const std::string servers = server_first.substr(2, server_first.find(',') - 2);
    const std::string without_proof =
        "c=" + base64_encode(bound) + ",r=" + (nonce.empty() ? servers : nonce) + extensions;
    const auto keys = derive_keys(password_of(password), kTestSalt, kTestIterations);
    const Key signature = scram_signature(crypto::sha256(keys.client_key.bytes()), first_bare,
                                          server_first, without_proof);
    const Key right = keys.client_key ^ signature;
    return without_proof + ",p=" + proof.value_or(base64_encode(right.bytes())) + after_proof;
  }
};

/// The outcome of the client's second message; its first must pass.
ScramServer::Outcome run(ScramServer::Setup setup, const Client& client) {
  ScramServer server(std::move(setup));
  auto first = server.receive(client.first());
  if (!std::holds_alternative<Continue>(first)) {
    ADD_FAILURE() << "client-first refused";
    return first;
  }
  return server.receive(client.final(std::get<Continue>(first).message));
}

ScramServer::Outcome run_first(ScramServer::Setup setup, const std::string& first) {
  return ScramServer(std::move(setup)).receive(first);
}

void expect_violation(const ScramServer::Outcome& outcome, const std::string& sqlstate,
                      const std::string& text) {
  ASSERT_TRUE(std::holds_alternative<Violation>(outcome)) << "outcome " << outcome.index();
  const Violation& violation = std::get<Violation>(outcome);
  EXPECT_EQ(violation.error.sqlstate, sqlstate);
  EXPECT_THAT(violation.error.message + ". " + violation.detail, HasSubstr(text));
}

TEST(ScramServer, lets_in_who_knows_the_password_and_proves_itself) {
  const auto outcome = run(plain(), {});
  ASSERT_TRUE(std::holds_alternative<Success>(outcome));
  const auto& success = std::get<Success>(outcome);
  EXPECT_EQ(success.verifier, 0U);
  EXPECT_EQ(success.keys, derive_keys(password_of("pencil"), kTestSalt, kTestIterations));
  EXPECT_EQ(success.message.size(), 2U + 44U);
  EXPECT_EQ(success.message.substr(0, 2), "v=");
}

TEST(ScramServer, names_salt_and_iterations_and_extends_the_nonce) {
  const auto outcome = run_first(plain(), "n,," + kFirstBare);
  ASSERT_TRUE(std::holds_alternative<Continue>(outcome));
  EXPECT_EQ(std::get<Continue>(outcome).message,
            "r=" + kNonce + base64_encode(std::string(kScramNonceSize, 's')) +
                ",s=" + base64_encode(kTestSalt) + ",i=3");
}

TEST(ScramServer, refuses_a_wrong_password) {
  EXPECT_TRUE(std::holds_alternative<WrongProof>(run(plain(), {.password = "Pencil"})));
}

TEST(ScramServer, tries_every_verifier) {
  auto setup = plain();
  setup.verifiers = {verifier_of("old"), verifier_of("new"), verifier_of("newer")};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string password = std::vector<std::string>{"old", "new", "newer"}[i];
    const auto outcome = run(setup, {.password = password});
    ASSERT_TRUE(std::holds_alternative<Success>(outcome)) << password;
    EXPECT_EQ(std::get<Success>(outcome).verifier, i);
    EXPECT_EQ(std::get<Success>(outcome).keys.server_key, verifier_of(password).server_key);
  }
  EXPECT_TRUE(std::holds_alternative<WrongProof>(run(setup, {.password = "newest"})));
}

TEST(ScramServer, a_mock_exchange_fails_at_the_end_even_for_a_right_proof) {
  auto setup = plain();
  setup.mock = true;
  EXPECT_TRUE(std::holds_alternative<WrongProof>(run(setup, {})));
}

TEST(ScramServer, a_mock_exchange_has_the_shape_of_a_real_one) {
  const Key secret = *Key::from(std::string(32, 's'));
  auto mock = plain();
  mock.mock = true;
  mock.verifiers = {{made_up_salt(secret, "nobody"), kTestIterations, {}, {}}};
  const auto real = std::get<Continue>(run_first(plain(), "n,," + kFirstBare)).message;
  const auto made = std::get<Continue>(run_first(mock, "n,," + kFirstBare)).message;
  EXPECT_EQ(real.size(), made.size());
  EXPECT_EQ(real.substr(0, real.find(",s=")), made.substr(0, made.find(",s=")));
  EXPECT_EQ(real.substr(real.find(",i=")), made.substr(made.find(",i=")));
  // And again, the same salt for the same user.
  EXPECT_EQ(made, std::get<Continue>(run_first(mock, "n,," + kFirstBare)).message);
  EXPECT_EQ(run(mock, {}).index(), run(plain(), {.password = "wrong"}).index());
}

TEST(ScramServer, binds_to_the_channel) {
  const auto outcome = run(with_plus(), {.gs2 = kPlus, .bound = kPlus + kTestEndPoint});
  EXPECT_TRUE(std::holds_alternative<Success>(outcome));
}

TEST(ScramServer, refuses_the_binding_to_another_channel) {
  for (const std::string& bound :
       {kPlus + std::string(32, '\x9d'), kPlus, kPlus + kTestEndPoint + "x", "n,," + kTestEndPoint,
        std::string("n,,"), kTestEndPoint}) {
    expect_violation(run(with_plus(), {.gs2 = kPlus, .bound = bound}), "28000",
                     "SCRAM channel binding check failed");
  }
}

TEST(ScramServer, refuses_a_gs2_header_that_changed) {
  for (const char* bound : {"y,,", "n,", "n", "", "n,,x", "p=tls-server-end-point,,"}) {
    expect_violation(run(plain(), {.bound = bound}), "08P01",
                     "unexpected SCRAM channel-binding attribute");
  }
  expect_violation(run(plain(), {.gs2 = "y,,", .bound = "n,,"}), "08P01",
                   "unexpected SCRAM channel-binding attribute");
}

TEST(ScramServer, takes_y_only_where_plus_was_not_offered) {
  EXPECT_TRUE(std::holds_alternative<Success>(run(plain(), {.gs2 = "y,,", .bound = "y,,"})));
  expect_violation(run_first(over_tls(), "y,," + kFirstBare), "28000",
                   "SCRAM channel binding negotiation error");
  // A client without channel binding may come over TLS, too.
  EXPECT_TRUE(std::holds_alternative<Success>(run(over_tls(), {})));
}

TEST(ScramServer, refuses_channel_binding_without_plus) {
  expect_violation(run_first(plain(), kPlus + kFirstBare), "08P01",
                   "The client selected SCRAM-SHA-256 without channel binding");
  expect_violation(run_first(over_tls(), kPlus + kFirstBare), "08P01",
                   "The client selected SCRAM-SHA-256 without channel binding");
}

TEST(ScramServer, refuses_plus_without_channel_binding) {
  for (const char* header : {"n,,", "y,,"}) {
    expect_violation(run_first(with_plus(), header + kFirstBare), "08P01",
                     "The client selected SCRAM-SHA-256-PLUS, but");
  }
}

TEST(ScramServer, refuses_other_kinds_of_channel_binding) {
  for (const char* header : {"p=tls-unique,,", "p=,,", "p,,", "p=tls-server-end-poin,,",
                             "p=tls-server-end-pointx,,", "p=tls-exporter\x01,,"}) {
    expect_violation(run_first(with_plus(), header + kFirstBare), "08P01",
                     "unsupported SCRAM channel-binding type");
  }
}

TEST(ScramServer, refuses_an_authorization_identity) {
  expect_violation(run_first(plain(), "n,a=admin," + kFirstBare), "0A000",
                   "authorization identity");
  expect_violation(run_first(with_plus(), "p=tls-server-end-point,a=admin," + kFirstBare), "0A000",
                   "authorization identity");
}

TEST(ScramServer, refuses_mandatory_extensions) {
  for (const std::string& first :
       {"n,,m=x," + kFirstBare, "n,," + kFirstBare + ",m=x", "n,," + kFirstBare + ",x=y,m=x",
        std::string("n,,n=,m=x,r=abc")}) {
    expect_violation(run_first(plain(), first), "0A000", "unsupported SCRAM extension");
  }
  expect_violation(run(plain(), {.extensions = ",m=x"}), "0A000", "unsupported SCRAM extension");
}

TEST(ScramServer, passes_optional_extensions) {
  Client client{.first_bare = kFirstBare + ",x=1,Z=", .extensions = ",y=2"};
  EXPECT_TRUE(std::holds_alternative<Success>(run(plain(), client)));
}

TEST(ScramServer, refuses_malformed_first_messages) {
  for (const std::string& first : {
           std::string(),
           std::string("n"),
           std::string("n,"),
           std::string("n,,"),
           std::string("q,,") + kFirstBare,
           std::string(",,") + kFirstBare,
           std::string("nn,,") + kFirstBare,
           std::string("n,x,") + kFirstBare,
           std::string("n,,r=") + kNonce,
           std::string("n,,r=") + kNonce + ",n=",
           std::string("n,,n=,n=,r=") + kNonce,
           std::string("n,,n="),
           std::string("n,,n=,"),
           std::string("n,,n=,r="),
           std::string("n,,n=,r"),
           std::string("n,,n,r=") + kNonce,
           "n,," + kFirstBare + ",",
           "n,," + kFirstBare + ",r=again",
           "n,," + kFirstBare + ",x",
           "n,," + kFirstBare + ",1=x",
           "n,," + kFirstBare + ",p=x",
           "n,," + kFirstBare + ",,",
       }) {
    expect_violation(run_first(plain(), first), "08P01", "malformed SCRAM message");
  }
  expect_violation(run_first(plain(), std::string("n,,n=,r=abc\0def", 15)), "08P01", "NUL byte");
}

TEST(ScramServer, refuses_nonces_that_are_not_printable_or_too_long) {
  for (const char* nonce : {"a b", "a\x7f", "a\xc3\xa4", "\x01", "a\t"}) {
    expect_violation(run_first(plain(), std::string("n,,n=,r=") + nonce), "08P01",
                     "non-printable characters in SCRAM nonce");
  }
  EXPECT_TRUE(std::holds_alternative<Continue>(
      run_first(plain(), "n,,n=,r=" + std::string(kScramNonceMax, 'x'))));
  expect_violation(run_first(plain(), "n,,n=,r=" + std::string(kScramNonceMax + 1, 'x')), "08P01",
                   "from 1 to 512 bytes");
}

TEST(ScramServer, refuses_messages_over_its_limit) {
  const std::string user(kScramMessageMax - 8 - kNonce.size(), 'u');
  const std::string longest = "n,,n=" + user + ",r=" + kNonce;
  ASSERT_EQ(longest.size(), kScramMessageMax);
  EXPECT_TRUE(std::holds_alternative<Continue>(run_first(plain(), longest)));
  expect_violation(run_first(plain(), longest + "x"), "08P01", "longer than 2047 bytes");
}

TEST(ScramServer, refuses_a_nonce_that_is_not_ours) {
  const std::string servers = kNonce + base64_encode(std::string(kScramNonceSize, 's'));
  const std::string last_changed = servers.substr(0, servers.size() - 1) + "x";
  for (const std::string& nonce :
       {kNonce, servers + "x", servers.substr(1), servers.substr(0, servers.size() - 1),
        last_changed, "x" + servers.substr(1), std::string("x")}) {
    expect_violation(run(plain(), {.nonce = nonce}), "08P01", "Nonce does not match.");
  }
}

TEST(ScramServer, refuses_proofs_that_are_not_32_bytes) {
  for (const std::string& proof :
       {std::string(), base64_encode(std::string(31, 'p')), base64_encode(std::string(33, 'p')),
        base64_encode(std::string(1200, 'p')), std::string("????"), std::string("AA")}) {
    expect_violation(run(plain(), {.proof = proof}), "08P01", "Malformed proof");
  }
  EXPECT_TRUE(std::holds_alternative<WrongProof>(
      run(plain(), {.proof = base64_encode(std::string(32, '\0'))})));
}

TEST(ScramServer, refuses_attributes_out_of_order_and_what_follows_the_proof) {
  expect_violation(run(plain(), {.after_proof = ",x=1"}), "08P01", "Garbage found at the end");
  expect_violation(run(plain(), {.after_proof = ","}), "08P01", "Garbage found at the end");
  expect_violation(run(plain(), {.extensions = ",r=again"}), "08P01", "malformed SCRAM message");
  expect_violation(run(plain(), {.extensions = ","}), "08P01", "malformed SCRAM message");
  for (const char* message : {"r=x,c=biws,p=x", "c=biws,p=x,r=x", "c=biws", "c=biws,r=x", "p=x",
                              "c=biws,r=x,", "r=x", ",", "c"}) {
    ScramServer server(plain());
    ASSERT_TRUE(std::holds_alternative<Continue>(server.receive("n,," + kFirstBare)));
    expect_violation(server.receive(message), "08P01", "malformed SCRAM message");
  }
}

TEST(ScramServer, one_attempt_is_all_there_is) {
  ScramServer server(plain());
  const Client client;
  const auto first = server.receive(client.first());
  const std::string right = client.final(std::get<Continue>(first).message);
  const std::string wrong = Client{.password = "x"}.final(std::get<Continue>(first).message);
  EXPECT_TRUE(std::holds_alternative<WrongProof>(server.receive(wrong)));
  expect_violation(server.receive(right), "08P01", "The exchange is over.");

  ScramServer refused(plain());
  EXPECT_TRUE(std::holds_alternative<Violation>(refused.receive("x")));
  expect_violation(refused.receive(client.first()), "08P01", "The exchange is over.");
}

}  // namespace
}  // namespace forebay::auth
