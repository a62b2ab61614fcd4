#include "forebay/routing/cluster/topology.hpp"

#include <algorithm>
#include <utility>

namespace forebay::routing {

std::string_view to_string(Role role) noexcept {
  switch (role) {
    case Role::primary:
      return "primary";
    case Role::replica:
      return "replica";
    default:
      return "unknown";
  }
}

std::string_view to_string(Why why) noexcept {
  switch (why) {
    case Why::nothing:
      return "";
    case Why::no_sample:
      return "it has not answered yet";
    case Why::down:
      return "it cannot be reached";
    case Why::silent:
      return "it has not answered for longer than primary_lease";
    case Why::refuses:
      return "it does not tell the monitor what it is";
    case Why::other_system:
      return "it belongs to another cluster";
    case Why::fenced:
      return "fenced: a primary on an older timeline";
    case Why::two_primaries:
      return "there are two primaries on the same timeline";
    case Why::other_leads:
      return "fenced: another primary on the same timeline has Patroni's leader lock";
    case Why::mixed:
      return "the hosts are of different clusters, as many of each";
    case Why::same_server:
      return "it is the same server as another host";
    case Why::asking:
      return "other hosts have not answered yet: one may be on a newer timeline";
    case Why::leaving:
      return "Patroni was asked for a switchover: new transactions wait for the next primary";
    case Why::no_load_balance:
      return "it has Patroni's tag noloadbalance";
    case Why::replica:
      return "it is a replica";
    case Why::primary:
      return "it is the primary";
    case Why::behind:
      return "it is not known to follow the newest timeline";
    case Why::drained:
      return "drained by an operator";
    case Why::banned:
      return "banned by an operator";
  }
  return "";
}

std::string_view to_string(Standing standing) noexcept {
  switch (standing) {
    case Standing::drained:
      return "drained";
    case Standing::banned:
      return "banned";
    case Standing::preferred:
      return "preferred";
  }
  return "";
}

std::string to_string(const HostOrder& order, Instant now) {
  std::string text = std::string(to_string(order.standing)) + " by an operator";
  if (!order.by.empty()) text += " (" + order.by + ")";
  if (order.until != kNever) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(order.until - now).count();
    text += " for " + std::to_string(std::max<std::int64_t>(left, 0)) + " s more";
  }
  return order.reason.empty() ? text : text + ": " + order.reason;
}

std::string explain(const HostView& host, Why why, Instant now) {
  const bool ordered = why == Why::drained || why == Why::banned;
  if (ordered && host.order != nullptr) return to_string(*host.order, now);
  std::string text(to_string(why));
  if (why == Why::behind && host.timeline_hidden) {
    return text +
           ": PostgreSQL does not tell the monitor's role which one it receives; GRANT "
           "pg_monitor to that role";
  }
  if (why != Why::other_system && why != Why::mixed) return text;
  return text + ": its system identifier is " + std::to_string(host.system_identifier);
}

void Topology::begin() {
  for (Facts& facts : facts_) {
    facts.heard = false;
    facts.up = facts.sample && !facts.refuses;
  }
  unwritable_since_ = kNever;
}

void Topology::inherit(std::span<const Known> all) {
  std::vector<const Known*> from(facts_.size());
  for (const Known& known : all) {
    const Known*& best = from[known.host];
    const auto& theirs = known.of->facts_[known.there].sample;
    const auto& ours = best ? best->of->facts_[best->there].sample : facts_[known.host].sample;
    if (theirs && (!ours || ours->asked < theirs->asked)) best = &known;
  }
  if (std::ranges::all_of(from, [](const Known* known) { return known == nullptr; })) return;
  inherit_system(from);
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] == nullptr) continue;
    const Topology& other = *from[i]->of;
    auto order = std::move(facts_[i].order);
    facts_[i] = other.facts_[from[i]->there];
    facts_[i].order = std::move(order);
    if (system_identifier_ != 0 && other.system_identifier_ == system_identifier_) {
      abandoned_ = std::max(abandoned_, other.abandoned_);
      if (other.winner_ == from[i]->there) winner_ = i;
    } else {
      facts_[i].was_ours = false;
      facts_[i].timeline = 0;
    }
  }
  settled_ = system_identifier_ != 0 && most_are_of(system_identifier_);
  timeline_ = newest();
}

// The one that those who know newer things agree about. Where they do not, answers decide again.
void Topology::inherit_system(std::span<const Known* const> from) {
  std::uint64_t system = 0;
  bool agreed = true;
  for (const Known* known : from) {
    if (known == nullptr || !known->of->facts_[known->there].was_ours) continue;
    agreed = agreed && (system == 0 || system == known->of->system_identifier_);
    system = known->of->system_identifier_;
  }
  if (system == 0 || (agreed && system == system_identifier_)) return;
  become(agreed ? system : 0);
}

void Topology::forget(std::size_t host) {
  auto order = std::move(facts_[host].order);
  facts_[host] = {};
  facts_[host].order = std::move(order);
  if (winner_ == host) winner_.reset();
  const auto ours = [](const Facts& facts) { return facts.was_ours; };
  if (std::ranges::none_of(facts_, ours)) become(0);
  timeline_ = newest();
}

bool Topology::asking() const noexcept {
  return std::ranges::any_of(facts_, [](const Facts& facts) { return !facts.heard; });
}

void Topology::answered(std::size_t host, const HostSample& sample) {
  Facts& facts = facts_[host];
  facts.sample = sample;
  facts.heard = true;
  facts.confirmed = sample.asked;
  facts.up = true;
  facts.refuses = false;
  facts.refused_since = kNever;
  facts.error.clear();
  decide_system();
  if (sample.system_identifier != system_identifier_) return;
  facts.was_ours = true;
  note_timeline(facts, sample);
  note_position(sample);
}

void Topology::note_position(const HostSample& sample) {
  if (sample.role != Role::primary || sample.timeline != timeline_) return;
  // Positions of two timelines cannot be compared.
  if (history_timeline_ != timeline_) history_.clear();
  history_timeline_ = timeline_;
  // A commit that does not wait for the disk is acknowledged before it is written.
  history_.add(sample.asked, std::max(sample.lsn, sample.insert_lsn));
}

// Which cluster this is, most of the hosts say that have answered, when all have been asked; those
// that are gone since count, too. Once more than half of all have said so it stays: names may lead
// elsewhere by mistake. Until then the others, that were not there yet, may outvote those who were.
void Topology::decide_system() {
  if (system_identifier_ != 0) return recount_system();
  if (asking()) return;
  std::size_t most = 0;
  std::uint64_t best = 0;
  bool tie = false;
  for (const Facts& facts : facts_) {
    if (!facts.sample) continue;
    const std::uint64_t identifier = facts.sample->system_identifier;
    const auto alike = [identifier](const Facts& other) {
      return other.sample && other.sample->system_identifier == identifier;
    };
    const auto count = static_cast<std::size_t>(std::ranges::count_if(facts_, alike));
    if (count > most) {
      most = count;
      best = identifier;
      tie = false;
    } else if (count == most && identifier != best) {
      tie = true;
    }
  }
  mixed_ = tie;
  if (!tie && most > 0) become(best);
}

// Fewer than half change nothing: what is in use goes on, whoever else is there by mistake. So it
// changes once, at most.
void Topology::recount_system() {
  if (settled_) return;
  if (most_are_of(system_identifier_)) {
    settled_ = true;
    return;
  }
  for (const Facts& facts : facts_) {
    if (facts.sample && is_outvoted_by(facts.sample->system_identifier)) {
      become(facts.sample->system_identifier);
      return;
    }
  }
}

// By those only that are there, each server once, whatever names it has.
bool Topology::is_outvoted_by(std::uint64_t system) const noexcept {
  const auto votes = [&](std::size_t host) {
    const Facts& facts = facts_[host];
    return facts.up && facts.sample && facts.sample->system_identifier == system;
  };
  std::size_t count = 0;
  for (std::size_t host = 0; host < facts_.size(); ++host) {
    bool once = votes(host);
    for (std::size_t other = 0; once && other < host; ++other) {
      once = !votes(other) || !same_server(other, host);
    }
    if (once) ++count;
  }
  return count * 2 > facts_.size();
}

bool Topology::most_are_of(std::uint64_t system) const noexcept {
  const auto alike = std::ranges::count_if(facts_, [system](const Facts& facts) {
    return facts.sample && facts.sample->system_identifier == system;
  });
  return static_cast<std::size_t>(alike) * 2 > facts_.size();
}

void Topology::become(std::uint64_t system) {
  system_identifier_ = system;
  settled_ = most_are_of(system);
  mixed_ = false;
  abandoned_ = 0;
  replaced_since_ = outvoted_since_ = kNever;
  winner_.reset();
  history_.clear();
  for (Facts& facts : facts_) {
    const bool known = facts.sample && facts.sample->system_identifier == system;
    facts.timeline = known ? facts.sample->timeline : 0;
    facts.was_ours = known;
  }
  timeline_ = newest();
  // What came before anybody knew whose it was counts, too: the next answer may be far.
  for (const Facts& facts : facts_) {
    if (facts.was_ours) note_position(*facts.sample);
  }
}

// A server never goes back to an older timeline, unless it is set back: rewound after a promotion
// by mistake. When all that were on the newest one follow an older one now, it is no more. A
// replica that has just been started knows less than it did; what it receives says where it is. A
// primary on an older timeline is no evidence: a name may lead to another server than before.
void Topology::note_timeline(Facts& facts, const HostSample& sample) {
  const bool follows = sample.role == Role::replica && sample.received != 0;
  if (sample.timeline < facts.timeline && !follows) return;
  facts.timeline = sample.timeline;
  timeline_ = newest();
}

std::uint32_t Topology::newest() const noexcept {
  std::uint32_t timeline = 0;
  for (const Facts& facts : facts_) {
    if (facts.timeline == 0) continue;
    const bool counts = facts.timeline > abandoned_ || facts.sample->role == Role::primary;
    if (counts) timeline = std::max(timeline, facts.timeline);
  }
  return timeline;
}

// A replica that was promoted by mistake and made a replica again without being rewound is stuck
// on a timeline that nobody writes. The cluster goes on elsewhere: when everybody who knows that
// timeline is such a replica, and most hosts have followed the only primary for long enough. Or all
// were restored to what they were before it, and the primary itself was on it.
void Topology::look_for_abandoned(Instant now) {
  const Facts* primary = nullptr;
  for (const Facts& facts : facts_) {
    if (!tells(facts, now) || facts.sample->role != Role::primary) continue;
    if (primary == nullptr || facts.sample->timeline > primary->sample->timeline) primary = &facts;
  }
  const std::uint32_t timeline = primary == nullptr ? timeline_ : primary->sample->timeline;
  bool abandoned = timeline < timeline_;
  std::size_t followers = 0;
  for (const Facts& facts : facts_) {
    if (!abandoned) break;
    if (facts.timeline > timeline && &facts != primary) {
      abandoned = tells(facts, now) && facts.sample->role == Role::replica;
    } else if (tells(facts, now) && facts.sample->timeline == timeline) {
      ++followers;
    }
  }
  // Where two names lead to one server nobody knows what became of the other.
  const bool restored = abandoned && primary->timeline > timeline;
  if (restored && has_another_name(*primary)) abandoned = false;
  if (!abandoned || followers * 2 <= facts_.size()) {
    outvoted_since_ = kNever;
    return;
  }
  outvoted_since_ = std::min(outvoted_since_, now);
  if (now - outvoted_since_ < kAbandonedLeases * lease_) return;
  abandoned_ = timeline_;
  facts_[static_cast<std::size_t>(primary - facts_.data())].timeline = timeline;
  timeline_ = newest();
}

bool Topology::has_another_name(const Facts& facts) const noexcept {
  const auto host = static_cast<std::size_t>(&facts - facts_.data());
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    if (i != host && same_server(i, host)) return true;
  }
  return false;
}

// It was made anew, by initdb or from a backup of another: most hosts, that were of the one that we
// knew, say so, and none that answers is of that. What never was of ours is there by mistake.
void Topology::look_for_another_system(Instant now) {
  std::uint64_t other = 0;
  std::size_t count = 0;
  for (const Facts& facts : facts_) {
    if (!fresh(facts, now) || !facts.up || facts.refuses) continue;
    const std::uint64_t identifier = facts.sample->system_identifier;
    if (identifier != system_identifier_ && !facts.was_ours) continue;
    const bool same = count == 0 || identifier == other;
    other = identifier;
    if (identifier == system_identifier_ || !same) {
      count = 0;
      break;
    }
    ++count;
  }
  if (count * 2 <= facts_.size()) {
    replaced_since_ = kNever;
    return;
  }
  replaced_since_ = std::min(replaced_since_, now);
  if (now - replaced_since_ < kAbandonedLeases * lease_) return;
  become(other);
}

void Topology::failed(std::size_t host, std::string error) {
  facts_[host].up = facts_[host].refuses = false;
  facts_[host].heard = true;
  facts_[host].error = std::move(error);
}

void Topology::spoke(std::size_t host, Instant at, std::string error) {
  Facts& facts = facts_[host];
  facts.error = std::move(error);
  facts.heard = true;
  facts.refuses = true;
  facts.refused_since = std::min(facts.refused_since, at);
  facts.up = facts.sample && at - facts.refused_since < kRefusedLeases * lease_;
  if (facts.up) facts.confirmed = at;
}

bool Topology::fresh(const Facts& facts, Instant now) const noexcept {
  return facts.sample && now - facts.confirmed < lease_;
}

// It answers, and is of this cluster.
bool Topology::tells(const Facts& facts, Instant now) const noexcept {
  return fresh(facts, now) && facts.up && !facts.refuses &&
         facts.sample->system_identifier == system_identifier_;
}

// What speaks against a host whatever it is asked to do.
Why Topology::common_fault(const Facts& facts, Instant now) const noexcept {
  const Why lost = facts.refuses ? Why::refuses : Why::down;
  if (!facts.sample) return facts.error.empty() ? Why::no_sample : lost;
  if (system_identifier_ == 0) return mixed_ ? Why::mixed : Why::asking;
  if (facts.sample->system_identifier != system_identifier_) return Why::other_system;
  const bool older = facts.sample->timeline < timeline_;
  if (facts.sample->role == Role::primary && older) return Why::fenced;
  if (!fresh(facts, now)) return facts.up ? Why::silent : lost;
  return Why::nothing;
}

void Topology::judge_host(const Facts& facts, Instant now, HostView& view) const {
  view.up = facts.up;
  view.order = facts.order;
  view.error = facts.error;
  Why fault = common_fault(facts, now);
  view.fenced = fault == Why::fenced || fault == Why::other_system;
  if (facts.ordered(Standing::banned)) fault = Why::banned;
  view.no_writes = view.no_reads = fault;
  if (!facts.sample) return;
  const HostSample& sample = *facts.sample;
  view.role = sample.role;
  view.system_identifier = sample.system_identifier;
  view.timeline = sample.timeline;
  view.timeline_hidden = sample.timeline_hidden;
  view.lsn = sample.lsn;
  view.received = sample.received;
  view.sampled = sample.asked;
  if (sample.role == Role::replica && sample.timeline == history_timeline_) {
    view.complete_until = history_.complete_until(sample.lsn);
    if (const auto newest = history_.newest()) {
      view.bytes_behind = *newest > sample.lsn ? *newest - sample.lsn : 0;
    }
  }
  if (fault != Why::nothing) return;
  if (sample.role == Role::primary) {
    view.no_reads = Why::primary;
  } else {
    view.no_writes = Why::replica;
    // A connection that failed since has taken its reads with it.
    if (!facts.up) view.no_reads = Why::down;
    if (sample.timeline != timeline_) view.no_reads = Why::behind;
    if (view.may_read() && facts.ordered(Standing::drained)) view.no_reads = Why::drained;
  }
}

// A host that is asked for the first time has not come back.
void Topology::note_return(Facts& facts, Instant now, HostView& view) {
  if (!view.may_read()) {
    facts.was_unreadable = facts.was_unreadable || view.no_reads != Why::no_sample;
  } else if (std::exchange(facts.was_unreadable, false)) {
    facts.reads_again_since = now;
  }
  view.reads_again_since = facts.reads_again_since;
}

// Another primary on its timeline is the one that Patroni has for leader, or was when it last
// answered: that it is silent now does not make this one right. Another name of the leader's is no
// rival.
bool Topology::outdone(std::size_t host, std::optional<std::size_t> leader) const noexcept {
  if (!leader || *leader == host || same_server(host, *leader)) return false;
  const Facts& other = facts_[*leader];
  return other.sample && !other.ordered(Standing::banned) && other.sample->role == Role::primary &&
         other.sample->system_identifier == system_identifier_ &&
         other.sample->timeline == timeline_;
}

bool Topology::leaves(std::size_t primary, Instant now) {
  const auto leaving = word_ == nullptr ? std::nullopt : word_->leaving;
  const bool meant = leaving && (*leaving == primary || same_server(*leaving, primary));
  if (!meant || !word_->leaves(*leaving, now)) return leaving_held_ = false;
  const bool anew =
      leaving_ != primary || leaving_seen_ == kNever || now - leaving_seen_ >= kLeavingForgotten;
  if (anew) {
    leaving_spent_ = {};
  } else if (leaving_held_) {
    leaving_spent_ += now - leaving_seen_;
  }
  leaving_ = primary;
  leaving_seen_ = now;
  return leaving_held_ = leaving_spent_ < std::min<Duration>(kLeaving, hold_ / 2);
}

// A server that is listed twice, by two names, is one: nothing else started in the same microsecond
// has its data.
bool Topology::same_server(std::size_t one, std::size_t two) const noexcept {
  const auto& first = facts_[one].sample;
  const auto& second = facts_[two].sample;
  return first && second && first->started != 0 && first->started == second->started &&
         first->timeline == second->timeline &&
         first->system_identifier == second->system_identifier;
}

// The first that answers stands for it.
bool Topology::shown_by_another(std::size_t host, const ClusterView& view) const noexcept {
  const Facts& facts = facts_[host];
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    const Facts& other = facts_[i];
    if (i == host || view.hosts[i].no_writes != Why::nothing || !same_server(host, i)) continue;
    if (other.up != facts.up ? other.up : i < host) return true;
  }
  return false;
}

// Who of those that may be it is the primary.
void Topology::judge_primaries(Instant now, ClusterView& view) {
  if (view.asking) {
    for (HostView& host : view.hosts) {
      if (host.no_writes == Why::nothing) host.no_writes = Why::asking;
    }
    return;
  }
  std::vector<std::size_t> primaries;
  std::vector<std::size_t> same;
  bool tie = false;
  // Who has won goes on while Patroni is silent: that says nothing against it.
  auto leader = word_ == nullptr ? std::nullopt : word_->arbiter(now);
  if (!leader) leader = winner_;
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    HostView& host = view.hosts[i];
    if (host.no_writes != Why::nothing) continue;
    if (shown_by_another(i, view)) {
      same.push_back(i);
    } else if (outdone(i, leader)) {
      host.no_writes = host.no_reads = Why::other_leads;
      host.fenced = tie = true;
    } else {
      primaries.push_back(i);
    }
  }
  for (const std::size_t i : same) view.hosts[i].no_writes = Why::same_server;
  if (primaries.size() > 1) {
    view.two_primaries = tie = true;
    for (const std::size_t i : primaries) view.hosts[i].no_writes = Why::two_primaries;
  } else if (primaries.size() == 1) {
    const HostSample& sample = *facts_[primaries.front()].sample;
    view.primary = primaries.front();
    view.leaving = leaves(primaries.front(), now);
    // What is open there ends by itself, as before a switchover.
    const bool drained = facts_[primaries.front()].ordered(Standing::drained);
    if (view.leaving) view.hosts[*view.primary].no_writes = Why::leaving;
    if (drained) view.hosts[*view.primary].no_writes = Why::drained;
    view.writable_until =
        view.leaving || drained ? now : facts_[primaries.front()].confirmed + lease_;
    view.insert_lsn = sample.insert_lsn;
    view.insert_asked = sample.asked;
  }
  const bool decided = std::ranges::any_of(
      view.hosts, [](const HostView& host) { return host.no_writes == Why::other_leads; });
  winner_ = decided ? leader : std::nullopt;
  if (!tie) return;
  // Nobody knows whose positions a replica's are to be compared with.
  history_.clear();
  for (HostView& host : view.hosts) {
    host.complete_until.reset();
    host.bytes_behind.reset();
  }
}

ClusterView Topology::judge(Instant now) {
  decide_system();
  look_for_another_system(now);
  look_for_abandoned(now);
  ClusterView view;
  view.system_identifier = system_identifier_;
  view.timeline = timeline_;
  view.asking = asking();
  view.mixed = mixed_;
  view.hosts.resize(facts_.size());
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    judge_host(facts_[i], now, view.hosts[i]);
    const bool tagged = word_ != nullptr && word_->hosts[i].no_reads;
    if (tagged && view.hosts[i].may_read()) view.hosts[i].no_reads = Why::no_load_balance;
    note_return(facts_[i], now, view.hosts[i]);
  }
  judge_primaries(now, view);
  // Who does not say what it is may be the primary.
  const auto may_be_primary = [](const HostView& host) {
    return host.no_writes == Why::refuses && host.role != Role::replica;
  };
  // Where nobody has answered, and somebody may not be there, a primary may come.
  const auto known = [](const Facts& facts) { return facts.sample || !facts.error.empty(); };
  view.watched = !view.asking && std::ranges::any_of(facts_, known) &&
                 (view.primary || view.two_primaries || winner_ ||
                  std::none_of(view.hosts.begin(), view.hosts.end(), may_be_primary));
  if (view.primary && view.hosts[*view.primary].may_write()) {
    unwritable_since_ = kNever;
  } else if (unwritable_since_ == kNever) {
    unwritable_since_ = now;
  }
  view.unwritable_since = unwritable_since_;
  return view;
}

}  // namespace forebay::routing
