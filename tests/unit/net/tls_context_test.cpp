#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "forebay/net/tls.hpp"
#include "net/tls_names.hpp"
#include "support/certificates.hpp"
#include "support/loop.hpp"

namespace forebay::net::test {
namespace {

using config::TlsMode;
using config::TlsSettings;

std::string server_error(const TlsSettings& settings) {
  const auto context = make_server_context(settings);
  return context ? "it is good" : context.error().message;
}

std::string client_error(const TlsSettings& settings) {
  const auto context = make_client_context(settings);
  return context ? "it is good" : context.error().message;
}

std::string write_file(const std::string& name, const std::string& text) {
  const std::string path = test_directory() + "/" + name;
  std::ofstream(path) << text;
  ::chmod(path.c_str(), 0600);
  return path;
}

TEST(TlsContext, DisabledIsNull) {
  TlsSettings settings;
  settings.mode = TlsMode::disable;
  EXPECT_EQ(*make_server_context(settings), nullptr);
  EXPECT_EQ(*make_client_context(settings), nullptr);
}

TEST(TlsContext, AServerNeedsACertificate) {
  EXPECT_EQ(server_error({}),
            "client TLS has no certificate: set certificate_file and key_file, or mode = "
            "\"disable\"");
}

TEST(TlsContext, CertificateAndKeyGoTogether) {
  TlsSettings settings = server_settings(authority().server);
  settings.key_file.clear();
  EXPECT_EQ(server_error(settings),
            "client TLS has a certificate file but no key file: set both or none");
  settings.mode = TlsMode::require;
  EXPECT_EQ(client_error(settings),
            "server TLS has a certificate file but no key file: set both or none");
  settings.certificate_file.clear();
  settings.key_file = authority().server.key_file();
  EXPECT_EQ(client_error(settings),
            "server TLS has a key file but no certificate file: set both or none");
}

TEST(TlsContext, MissingFiles) {
  const std::string missing = test_directory() + "/missing";
  TlsSettings settings = server_settings(authority().server);
  settings.certificate_file = missing;
  EXPECT_EQ(server_error(settings), "could not read the certificate file " + missing +
                                        ": no such file or directory (check the path and its "
                                        "permissions)");
  settings = server_settings(authority().server);
  settings.key_file = missing;
  EXPECT_EQ(server_error(settings), "could not read the private key file " + missing +
                                        ": no such file or directory (check the path and its "
                                        "permissions)");
  settings = server_settings(authority().server);
  settings.ca_file = missing;
  EXPECT_EQ(server_error(settings), "could not read the CA file " + missing +
                                        ": no such file or directory (check the path and its "
                                        "permissions)");
  EXPECT_EQ(client_error(client_settings(TlsMode::verify_ca, missing)),
            "could not read the CA file " + missing +
                ": no such file or directory (check the path and its permissions)");
}

TEST(TlsContext, FilesThatAreNotWhatTheyShouldBe) {
  const std::string garbage = write_file("garbage", "not PEM at all\n");
  TlsSettings settings = server_settings(authority().server);
  settings.certificate_file = garbage;
  EXPECT_EQ(server_error(settings), "could not use the certificate file " + garbage +
                                        ": no start line (it must be PEM, our own certificate "
                                        "first)");
  settings = server_settings(authority().server);
  settings.key_file = garbage;
  const std::string key_text = server_error(settings);
  EXPECT_EQ(key_text.find("could not use the private key file " + garbage), 0U) << key_text;
  settings = server_settings(authority().server);
  settings.ca_file = garbage;
  const std::string ca_text = server_error(settings);
  EXPECT_EQ(ca_text.find("could not use the CA file " + garbage), 0U) << ca_text;
}

TEST(TlsContext, KeyOfAnotherCertificate) {
  TlsSettings settings = server_settings(authority().server);
  settings.key_file = authority().client.key_file();
  EXPECT_EQ(server_error(settings),
            "the private key file " + settings.key_file + " is not for the certificate in " +
                settings.certificate_file +
                ": key values mismatch (give the key that the certificate was made for)");
}

TEST(TlsContext, KeyThatOthersCanRead) {
  const TlsSettings settings = server_settings(stranger().server);
  for (const mode_t mode : {0604U, 0660U, 0644U}) {
    ASSERT_EQ(::chmod(settings.key_file.c_str(), mode), 0);
    EXPECT_EQ(server_error(settings),
              "the private key file " + settings.key_file +
                  " can be read by others (chmod 0600, or 0640 when root owns it)");
  }
  ASSERT_EQ(::chmod(settings.key_file.c_str(), 0640), 0);
  EXPECT_EQ(server_error(settings) == "it is good", ::geteuid() == 0);
  ASSERT_EQ(::chmod(settings.key_file.c_str(), 0400), 0);
  EXPECT_EQ(server_error(settings), "it is good");
}

TEST(TlsContext, KeyThatIsADirectory) {
  TlsSettings settings = server_settings(authority().server);
  settings.key_file = test_directory();
  EXPECT_EQ(server_error(settings),
            "the private key file " + test_directory() + " is not a regular file");
}

TEST(TlsContext, KeyWithAPassphrase) {
  const std::string path = write_file("locked.key", "");
  std::FILE* file = std::fopen(path.c_str(), "w");
  PEM_write_PrivateKey(file, authority().server.key(), EVP_aes_128_cbc(), nullptr, 0, nullptr,
                       const_cast<char*>("secret"));
  std::fclose(file);
  TlsSettings settings = server_settings(authority().server);
  settings.key_file = path;
  const std::string text = server_error(settings);
  EXPECT_EQ(text.find("could not use the private key file " + path), 0U) << text;
  EXPECT_NE(text.find("(it must be PEM, without a passphrase)"), std::string::npos) << text;
}

TEST(TlsContext, VersionsAndCiphers) {
  TlsSettings settings = server_settings(authority().server);
  settings.minimum_version = "TLSv1.3";
  EXPECT_EQ(server_error(settings), "it is good");
  settings.minimum_version = "SSLv3";
  EXPECT_EQ(server_error(settings),
            "the TLS version \"SSLv3\" is not known (use TLSv1.2 or TLSv1.3)");
  settings = server_settings(authority().server);
  settings.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
  settings.cipher_suites = "TLS_AES_128_GCM_SHA256";
  EXPECT_EQ(server_error(settings), "it is good");
  settings.ciphers = "nonsense";
  EXPECT_EQ(server_error(settings),
            "the list of ciphers \"nonsense\" cannot be used: no cipher match (see `openssl "
            "ciphers`)");
  settings.ciphers.clear();
  settings.cipher_suites = "nonsense";
  const std::string text = server_error(settings);
  EXPECT_EQ(text.find("the list of TLS 1.3 cipher suites \"nonsense\" cannot be used"), 0U) << text;
}

TEST(EndPointHash, IsThatOfTheSignature) {
  const auto size_for = [](const CertificateWish& wish) {
    return end_point_hash(Certificate(wish).x509()).size();
  };
  EXPECT_EQ(size_for({.digest = "SHA256"}), 32U);
  EXPECT_EQ(size_for({.digest = "SHA384"}), 48U);
  EXPECT_EQ(size_for({.digest = "SHA512"}), 64U);
  EXPECT_EQ(size_for({.digest = "SHA224"}), 28U);
  EXPECT_EQ(size_for({.digest = "SHA1"}), 32U) << "SHA-256 instead";
  EXPECT_EQ(size_for({.key = KeyKind::ed25519}), 0U) << "it has none";
}

TEST(CommonName, IsUtf8AndWithoutZeroBytes) {
  EXPECT_EQ(common_name(Certificate({.common_name = "J\xc3\xbcrgen"}).x509()), "J\xc3\xbcrgen");
  const std::string trick("postgres\0.attacker.test", 23);
  EXPECT_EQ(common_name(Certificate({.common_name = trick}).x509()), "");
}

}  // namespace
}  // namespace forebay::net::test
