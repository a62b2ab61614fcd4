#include <array>

#include "config/keys.hpp"

// PgBouncer's keys that have another name here.
namespace forebay::config {

std::string_view replacement_of(std::string_view pgbouncer_key) {
  struct Replacement {
    std::string_view theirs;
    std::string_view ours;
  };
  constexpr std::array<Replacement, 25> kReplacements = {{
      {"listen_addr", "[forebay] listen"},
      {"listen_port", "[forebay] listen"},
      {"unix_socket_dir", "[forebay] listen"},
      {"auth_type", "[forebay] auth"},
      {"auth_file", "[users.NAME] password"},
      {"logfile", "[log] file"},
      {"verbose", "[log] level"},
      {"log_connections", "[log] connections"},
      {"log_disconnections", "[log] connections"},
      {"client_tls_sslmode", "[tls.client] mode"},
      {"client_tls_cert_file", "[tls.client] certificate_file"},
      {"client_tls_key_file", "[tls.client] key_file"},
      {"client_tls_ca_file", "[tls.client] ca_file"},
      {"client_tls_protocols", "[tls.client] minimum_version"},
      {"client_tls_ciphers", "[tls.client] ciphers"},
      {"server_tls_sslmode", "[tls.server] mode"},
      {"server_tls_cert_file", "[tls.server] certificate_file"},
      {"server_tls_key_file", "[tls.server] key_file"},
      {"server_tls_ca_file", "[tls.server] ca_file"},
      {"server_tls_protocols", "[tls.server] minimum_version"},
      {"server_tls_ciphers", "[tls.server] ciphers"},
      {"host", "[databases.NAME] hosts"},
      {"port", "[databases.NAME] hosts"},
      {"pool_size", "[pool] default_pool_size"},
      {"query_timeout", "[pool] statement_timeout"},
  }};
  for (const Replacement& replacement : kReplacements) {
    if (replacement.theirs == pgbouncer_key) return replacement.ours;
  }
  return {};
}

}  // namespace forebay::config
