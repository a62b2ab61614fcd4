#include <gtest/gtest.h>

#include "support/certificates.hpp"
#include "support/loop.hpp"
#include "support/raw_peer.hpp"
#include "support/tls_peer.hpp"

/// Who accepts whose certificate.
namespace forebay::net::test {
namespace {

using config::TlsMode;
using config::TlsSettings;

/// A handshake between two contexts.
struct Attempt {
  Attempt(const Context& server, const Context& client, const std::string& host)
      : couple(loop, Family::v4) {
    couple.server.stream->start_tls_server(server, {});
    couple.client.stream->start_tls_client(client, host, false);
    // In TLS 1.3 the client is done before the server has looked at the client's certificate.
    EXPECT_TRUE(loop.until([&] {
      return couple.client.losses == 1 || couple.server.losses == 1 ||
             (couple.client.secured == 1 && couple.server.secured == 1);
    }));
    loop.settle();
  }
  [[nodiscard]] bool good() const {
    return couple.client.secured == 1 && couple.server.secured == 1 &&
           couple.client.losses + couple.server.losses == 0;
  }
  [[nodiscard]] const std::string& client_says() const { return couple.client.lost; }
  [[nodiscard]] const std::string& server_says() const { return couple.server.lost; }

  Loop loop;
  Couple couple;
};

Context server_with(const Certificate& certificate) {
  return server_context(server_settings(certificate));
}

Context client_in(TlsMode mode, const std::string& ca_file = "") {
  return client_context(client_settings(mode, ca_file));
}

constexpr TlsMode kAllModes[] = {TlsMode::allow, TlsMode::prefer, TlsMode::require,
                                 TlsMode::verify_ca, TlsMode::verify_full};

TEST(ServerCertificate, OfOurAuthorityAndForTheHost) {
  const Context server = server_with(authority().server);
  for (const TlsMode mode : kAllModes) {
    for (const std::string host : {"db.test", "one.pool.test", "127.0.0.1"}) {
      const Attempt attempt(server, client_in(mode, authority().root.file()), host);
      EXPECT_TRUE(attempt.good()) << static_cast<int>(mode) << host << attempt.client_says();
      const bool verified = mode >= TlsMode::require;
      EXPECT_EQ(attempt.couple.client.stream->tls()->peer_common_name, verified ? "db.test" : "");
    }
  }
}

TEST(ServerCertificate, ForAnotherHost) {
  const Context server = server_with(authority().server);
  for (const std::string host :
       {"other.test", "127.0.0.2", "::1", "pool.test", "a.b.pool.test", "xdb.test"}) {
    for (const TlsMode mode : kAllModes) {
      const Attempt attempt(server, client_in(mode, authority().root.file()), host);
      EXPECT_EQ(attempt.good(), mode != TlsMode::verify_full) << static_cast<int>(mode) << host;
      if (mode != TlsMode::verify_full) continue;
      EXPECT_EQ(attempt.client_says(),
                "TLS handshake failed: the server's certificate is not for \"" + host +
                    "\" (connect by a name that it lists, or use verify-ca)");
    }
  }
}

TEST(ServerCertificate, CommonNameCountsOnlyWithoutNames) {
  const Certificate old({.common_name = "old.test"}, &authority().root);
  const Context client = client_in(TlsMode::verify_full, authority().root.file());
  EXPECT_TRUE(Attempt(server_with(old), client, "old.test").good());
  const Certificate mixed({.common_name = "old.test", .names = {"DNS:new.test"}},
                          &authority().root);
  EXPECT_FALSE(Attempt(server_with(mixed), client, "old.test").good());
}

TEST(ServerCertificate, PartsOfALabelAreNoWildcard) {
  const Certificate partial({.common_name = "x", .names = {"DNS:db*.test"}}, &authority().root);
  const Context client = client_in(TlsMode::verify_full, authority().root.file());
  EXPECT_FALSE(Attempt(server_with(partial), client, "db1.test").good());
}

TEST(ServerCertificate, OfAStranger) {
  const Context server = server_with(stranger().server);
  for (const TlsMode mode : kAllModes) {
    const Attempt attempt(server, client_in(mode, authority().root.file()), "db.test");
    EXPECT_EQ(attempt.good(), mode < TlsMode::require) << static_cast<int>(mode);
    if (mode < TlsMode::require) continue;
    EXPECT_EQ(attempt.client_says(),
              "TLS handshake failed: the server's certificate was not accepted: unable to get "
              "local issuer certificate");
    EXPECT_EQ(attempt.server_says(),
              "TLS handshake failed: the peer refused: tlsv1 alert unknown ca");
  }
}

TEST(ServerCertificate, OfAnImpostorWithOurAuthoritysName) {
  const Authority impostor("our authority");
  const Attempt attempt(server_with(impostor.server),
                        client_in(TlsMode::verify_ca, authority().root.file()), "db.test");
  EXPECT_EQ(attempt.client_says(),
            "TLS handshake failed: the server's certificate was not accepted: certificate "
            "signature failure");
}

TEST(ServerCertificate, WithoutACaFileTheSystemDecides) {
  const Context server = server_with(authority().server);
  EXPECT_TRUE(Attempt(server, client_in(TlsMode::require), "db.test").good());
  for (const TlsMode mode : {TlsMode::verify_ca, TlsMode::verify_full}) {
    EXPECT_FALSE(Attempt(server, client_in(mode), "db.test").good());
  }
}

TEST(ServerCertificate, SelfSigned) {
  const Certificate alone({.common_name = "db.test", .names = {"DNS:db.test"}});
  EXPECT_TRUE(Attempt(server_with(alone), client_in(TlsMode::require), "db.test").good());
  const Attempt refused(server_with(alone),
                        client_in(TlsMode::verify_full, authority().root.file()), "db.test");
  EXPECT_EQ(refused.client_says(),
            "TLS handshake failed: the server's certificate was not accepted: self-signed "
            "certificate");
  EXPECT_TRUE(
      Attempt(server_with(alone), client_in(TlsMode::verify_full, alone.file()), "db.test").good())
      << "a file may also name the certificate itself";
}

TEST(ServerCertificate, Expired) {
  const Context server = server_with(authority().expired);
  EXPECT_TRUE(Attempt(server, client_in(TlsMode::require), "db.test").good());
  const Attempt refused(server, client_in(TlsMode::verify_full, authority().root.file()),
                        "db.test");
  EXPECT_EQ(refused.client_says(),
            "TLS handshake failed: the server's certificate was not accepted: certificate has "
            "expired");
}

TEST(ServerCertificate, NotYetValid) {
  const Certificate early({.common_name = "db.test", .from_seconds = 3600}, &authority().root);
  const Attempt refused(server_with(early), client_in(TlsMode::verify_ca, authority().root.file()),
                        "db.test");
  EXPECT_EQ(refused.client_says(),
            "TLS handshake failed: the server's certificate was not accepted: certificate is not "
            "yet valid");
}

TEST(ServerCertificate, VerifyFullNeedsAHost) {
  for (const std::string host : {"", "/run/postgresql/.s.PGSQL.5432"}) {
    Loop loop;
    Couple couple(loop, Family::v4);
    couple.client.stream->start_tls_client(client_in(TlsMode::verify_full, authority().root.file()),
                                           host, false);
    EXPECT_EQ(couple.client.losses, 0);
    ASSERT_TRUE(loop.until([&] { return couple.client.losses == 1; }));
    EXPECT_EQ(couple.client.lost,
              "TLS: there is no host name to verify the server's certificate for (verify-full "
              "needs a host, not a socket file; use verify-ca)");
  }
}

// Certificates of clients.

TlsSettings asking_server(TlsMode mode) {
  TlsSettings settings = server_settings(authority().server);
  settings.mode = mode;
  settings.ca_file = authority().root.file();
  return settings;
}

Context client_with(const Certificate& certificate) {
  TlsSettings settings = client_settings(TlsMode::require);
  settings.certificate_file = certificate.file();
  settings.key_file = certificate.key_file();
  return client_context(settings);
}

TEST(ClientCertificate, OfOurAuthority) {
  for (const TlsMode mode : kAllModes) {
    const Attempt attempt(server_context(asking_server(mode)), client_with(authority().client),
                          "db.test");
    EXPECT_TRUE(attempt.good()) << attempt.server_says();
    EXPECT_EQ(attempt.couple.server.stream->tls()->peer_common_name, "alice");
  }
}

TEST(ClientCertificate, NoneIsEnoughUnlessItIsVerified) {
  for (const TlsMode mode : kAllModes) {
    const Attempt attempt(server_context(asking_server(mode)), plain_client_context(), "db.test");
    const bool required = mode >= TlsMode::verify_ca;
    EXPECT_EQ(attempt.good(), !required) << static_cast<int>(mode);
    if (required) {
      EXPECT_EQ(attempt.server_says(),
                "TLS handshake failed: the client sent no certificate, and one is required");
      EXPECT_EQ(attempt.client_says(), "TLS: the peer refused: tlsv13 alert certificate required");
    } else {
      EXPECT_EQ(attempt.couple.server.stream->tls()->peer_common_name, "");
    }
  }
}

TEST(ClientCertificate, OfAStranger) {
  for (const TlsMode mode : kAllModes) {
    const Attempt attempt(server_context(asking_server(mode)), client_with(stranger().client),
                          "db.test");
    EXPECT_FALSE(attempt.good());
    EXPECT_EQ(attempt.server_says(),
              "TLS handshake failed: the client's certificate was not accepted: unable to get "
              "local issuer certificate");
  }
}

TEST(ClientCertificate, Expired) {
  const Certificate old({.common_name = "alice", .from_seconds = -7200, .to_seconds = -3600},
                        &authority().root);
  const Attempt attempt(server_context(asking_server(TlsMode::require)), client_with(old),
                        "db.test");
  EXPECT_EQ(attempt.server_says(),
            "TLS handshake failed: the client's certificate was not accepted: certificate has "
            "expired");
}

TEST(ClientCertificate, AnotherClientsNameIsNotTold) {
  const Context server = server_context(asking_server(TlsMode::require));
  const Certificate bob({.common_name = "bob"}, &authority().root);
  const Attempt first(server, client_with(authority().client), "db.test");
  const Attempt second(server, client_with(bob), "db.test");
  const Attempt third(server, plain_client_context(), "db.test");
  EXPECT_EQ(first.couple.server.stream->tls()->peer_common_name, "alice");
  EXPECT_EQ(second.couple.server.stream->tls()->peer_common_name, "bob");
  EXPECT_EQ(third.couple.server.stream->tls()->peer_common_name, "");
}

/// How many names of authorities a server sends; nothing when it asks for no certificate.
std::optional<int> names_sent_by(const Context& server) {
  static int asked = 0;
  asked = 0;
  Loop loop;
  Served served(loop, Family::v4);
  served.server.stream->start_tls_server(server, {});
  TlsPeer tls(*served.peer, TlsPeer::Role::client, [](SSL_CTX* context) {
    SSL_CTX_set_client_cert_cb(context, [](SSL*, X509**, EVP_PKEY**) {
      ++asked;
      return 0;
    });
  });
  EXPECT_TRUE(loop.until([&] { return tls.handshake(); }));
  if (asked == 0) return {};
  const STACK_OF(X509_NAME)* names = SSL_get0_peer_CA_list(tls.ssl());
  return names == nullptr ? 0 : sk_X509_NAME_num(names);
}

TEST(ClientCertificate, AskedForOnlyWhenConfigured) {
  for (const TlsMode mode : {TlsMode::allow, TlsMode::prefer, TlsMode::require}) {
    TlsSettings settings = server_settings(authority().server);
    settings.mode = mode;
    EXPECT_EQ(names_sent_by(server_context(settings)), std::nullopt);
    settings.ca_file = authority().root.file();
    EXPECT_EQ(names_sent_by(server_context(settings)), 1);
  }
  TlsSettings settings = server_settings(authority().server);
  settings.mode = TlsMode::verify_ca;
  EXPECT_EQ(names_sent_by(server_context(settings)), 0) << "not the system's whole list";
}

}  // namespace
}  // namespace forebay::net::test
