#include "app/cluster_sources.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <utility>

#include "app/etcd_watcher.hpp"
#include "app/patroni_watcher.hpp"
#include "core/engine/mail.hpp"

namespace forebay::app {

using config::HttpUrl;
using config::PatroniSettings;

/// One cluster's.
class ClusterSource final : private PatroniEar {
 public:
  ClusterSource(core::Shared& shared, const net::Resolver& resolver,
                std::shared_ptr<core::Cluster> cluster, PatroniSettings settings)
      : shared_(shared),
        resolver_(resolver),
        cluster_(std::move(cluster)),
        settings_(std::move(settings)) {
    for (const HttpUrl& url : settings_.rest) sources_.push_back({to_string(url), {}});
    for (const HttpUrl& url : settings_.etcd) sources_.push_back({to_string(url), {}});
    cluster_->set_sources(sources_);
  }
  ClusterSource(const ClusterSource&) = delete;
  ClusterSource& operator=(const ClusterSource&) = delete;
  ~ClusterSource() {
    cluster_->hear(nullptr);
    cluster_->set_sources({});
  }

  /// Whether these settings make it another one. Files of certificates are read anew in any case.
  [[nodiscard]] bool is(const PatroniSettings& settings) const {
    return settings_ == settings && std::ranges::none_of(settings_.rest, &HttpUrl::tls) &&
           std::ranges::none_of(settings_.etcd, &HttpUrl::tls);
  }

  void watch(boost::asio::io_context& control) {
    if (!settings_.rest.empty()) {
      if (auto tls = tls_for(settings_.rest, settings_.rest_ca_file)) {
        patroni_.emplace(control, settings_.rest, *tls, ear());
      }
    }
    if (!settings_.etcd.empty()) {
      if (auto tls = tls_for(settings_.etcd, settings_.etcd_ca_file)) {
        etcd_.emplace(control, settings_.etcd, *tls,
                      routing::etcd_prefix(settings_.etcd_namespace, settings_.etcd_scope), ear());
      }
    }
  }

 private:
  /// What it says decides nothing when it is older.
  static constexpr std::chrono::seconds kHolds{3};
  /// So many members that are none of ours are named.
  static constexpr std::size_t kStrangersMax = 64;

  PatroniEar& ear() noexcept { return *this; }

  std::optional<HttpTls> tls_for(const std::vector<HttpUrl>& urls, const std::string& ca_file) {
    if (std::ranges::none_of(urls, &HttpUrl::tls)) return HttpTls();
    auto tls = make_http_tls(ca_file);
    if (tls) return std::move(*tls);
    note(core::Weight::error, "patroni_unwatched", tls.error().message);
    return std::nullopt;
  }

  [[nodiscard]] bool in_a_hurry() const override {
    const auto view = cluster_->view();
    return view->watched && !view->writable(std::chrono::steady_clock::now()).has_value();
  }

  void heard(const routing::PatroniCluster& said, Instant asked) override {
    std::vector<std::string> strangers;
    auto word = std::make_shared<routing::PatroniWord>(routing::patroni_word(
        said, cluster_->hosts(),
        [this](const Endpoint& host, const Endpoint& member) { return same(host, member); },
        &strangers));
    word->asked = asked;
    word->until = asked + kHolds;
    word->leaving_from = asked;
    if (said.switchover && said.switchover->at) {
      word->leaving_from += std::chrono::duration_cast<Duration>(*said.switchover->at -
                                                                 std::chrono::system_clock::now());
    }
    const auto before = cluster_->patroni();
    const auto news = routing::patroni_news(before.get(), *word);
    cluster_->hear(std::move(word));
    for (const std::string& each : news) note(core::Weight::normal, "patroni", each);
    for (const std::string& name : strangers) {
      if (strangers_.size() == kStrangersMax || !strangers_.insert(name).second) continue;
      note(core::Weight::warning, "patroni_member_unknown",
           "member " + name +
               " has an address that is none of hosts: what Patroni says of it is of "
               "no use");
    }
    if (!news.empty()) shared_.courier->send(core::WorkerId(0), core::mail::AskHosts{cluster_});
  }

  // A name that we are told may be an address that ours leads to.
  bool same(const Endpoint& host, const Endpoint& member) const {
    if (host == member) return true;
    if (host.is_unix() || host.port != member.port) return false;
    for (const net::Resolver::Known& known : resolver_.known()) {
      if (known.host != host.host) continue;
      return std::ranges::find(known.addresses, member.host) != known.addresses.end();
    }
    return false;
  }

  void tried(const HttpUrl& source, const std::string& why) override {
    const auto known = std::ranges::find(sources_, to_string(source), &core::Cluster::Source::name);
    if (known == sources_.end() || known->up == why.empty()) return;
    if (!why.empty()) {
      note(core::Weight::warning, "patroni_silent", known->name + ": " + why);
    } else if (known->up) {
      note(core::Weight::normal, "patroni_answers", known->name + " answers again");
    }
    known->up = why.empty();
    cluster_->set_sources(sources_);
  }

  void note(core::Weight weight, std::string_view event, std::string text) {
    shared_.journal.note({.weight = weight,
                          .event = event,
                          .text = std::move(text),
                          .host = to_string(cluster_->hosts().front())});
  }

  core::Shared& shared_;
  const net::Resolver& resolver_;
  const std::shared_ptr<core::Cluster> cluster_;
  const PatroniSettings settings_;
  std::vector<core::Cluster::Source> sources_;
  std::set<std::string> strangers_;  ///< that were told of
  std::optional<PatroniWatcher> patroni_;
  std::optional<EtcdWatcher> etcd_;
};

ClusterSources::ClusterSources(boost::asio::io_context& control, core::Shared& shared,
                               const net::Resolver& resolver)
    : control_(control), shared_(shared), resolver_(resolver) {}

ClusterSources::~ClusterSources() = default;

void ClusterSources::use(const config::Config& config) {
  std::map<std::vector<Endpoint>, PatroniSettings> wanted;
  for (const auto& [name, database] : config.databases) {
    if (database.hosts.size() > 1 && !database.patroni.none()) {
      wanted.emplace(database.hosts, database.patroni);
    }
  }
  std::erase_if(sources_, [&](const auto& entry) {
    const auto is = wanted.find(entry.first);
    return is == wanted.end() || !entry.second->is(is->second);
  });
  for (const auto& [hosts, settings] : wanted) {
    auto& source = sources_[hosts];
    if (source != nullptr) continue;
    source = std::make_unique<ClusterSource>(shared_, resolver_, shared_.pools.cluster_of(hosts),
                                             settings);
    source->watch(control_);
  }
}

}  // namespace forebay::app
