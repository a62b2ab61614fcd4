#include <algorithm>
#include <string>

#include "config/checks.hpp"
#include "config/types.hpp"

// What must hold between the keys about Patroni.
namespace forebay::config {
namespace {

class PatroniChecker {
 public:
  PatroniChecker(const Database& database, std::string section, const Member& entry,
                 Reading& reading)
      : database_(database), section_(std::move(section)), entry_(entry), reading_(reading) {}

  void check() const {
    const PatroniSettings& patroni = database_.patroni;
    const bool one_host = database_.hosts.size() == 1 && !reading_.refused(section_, "hosts");
    if (one_host && !patroni.none()) {
      complain(patroni.rest.empty() ? "etcd" : "patroni",
               "there is only one host, so that there is nothing to find out; list all hosts of "
               "the cluster in hosts");
    }
    if (!patroni.rest.empty() && !patroni.etcd.empty()) {
      complain(
          "etcd",
          "patroni is set, too, and the two may say different things of who leads; keep one of "
          "them");
    }
    if (!patroni.etcd.empty() && patroni.etcd_scope.empty() &&
        !reading_.refused(section_, "etcd_scope")) {
      complain("etcd",
               "which cluster's keys they are has to be said: set etcd_scope to Patroni's "
               "scope");
    }
    if (patroni.etcd_namespace.find_first_not_of('/') == std::string::npos) {
      complain("etcd_namespace", "expected a name such as \"/service\"");
    }
    if (patroni.etcd_scope.find('/') != std::string::npos) {
      complain("etcd_scope", "expected a name without \"/\"");
    }
    check_ca("patroni_ca_file", patroni.rest_ca_file, "patroni", patroni.rest);
    check_ca("etcd_ca_file", patroni.etcd_ca_file, "etcd", patroni.etcd);
  }

 private:
  void check_ca(std::string_view key, const std::string& path, std::string_view urls_key,
                const std::vector<HttpUrl>& urls) const {
    if (path.empty()) return;
    const Result<void> readable = reading_.environment().check_readable(path);
    if (!readable) complain(key, readable.error().message);
    if (std::ranges::any_of(urls, &HttpUrl::tls) || reading_.refused(section_, urls_key)) return;
    reading_.problems().warning(position(key), "[" + section_ + "] " + std::string(key) +
                                                   ": has no effect; no entry of " +
                                                   std::string(urls_key) + " begins with https://");
  }

  void complain(std::string_view key, const std::string& why) const {
    reading_.problems().error(position(key), "[" + section_ + "] " + std::string(key) + ": " + why);
  }

  [[nodiscard]] Position position(std::string_view key) const {
    const Member* member = find(*entry_.value.as<Table>(), key);
    return member == nullptr ? entry_.at : member->value.at;
  }

  const Database& database_;
  const std::string section_;
  const Member& entry_;
  Reading& reading_;
};

}  // namespace

void check_patroni(const Database& database, std::string section, const Member& entry,
                   Reading& reading) {
  PatroniChecker(database, std::move(section), entry, reading).check();
}

}  // namespace forebay::config
