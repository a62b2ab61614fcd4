#include "core/monitor/host_probe.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/engine/engine.hpp"
#include "core/pool/pool.hpp"
#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

constexpr std::size_t kColumns = 9;

/// The control file learns of a new timeline late, so on a primary the name of the log's file says
/// it; on a replica what is newest of three. Everything here is open to every role, except the
/// receiver's timeline, which is NULL without pg_monitor: until the next restartpoint nothing else
/// says it.
constexpr std::string_view kQuestion =
    "SELECT r, (SELECT system_identifier FROM pg_control_system()),"
    " CASE WHEN r THEN greatest((SELECT timeline_id FROM pg_control_checkpoint()),"
    " (SELECT min_recovery_end_timeline FROM pg_control_recovery()),"
    " (SELECT received_tli FROM pg_stat_wal_receiver))"
    " ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,"
    " CASE WHEN r THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,"
    " pg_last_wal_receive_lsn(), CASE WHEN NOT r THEN pg_current_wal_insert_lsn() END,"
    " pg_size_bytes(current_setting('wal_segment_size')),"
    " (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,"
    " r AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE received_tli IS NULL)"
    " FROM (SELECT pg_is_in_recovery() AS r OFFSET 0) AS who";

template <class Integer>
Integer number(const std::optional<Bytes>& text) {
  Integer value{};
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

routing::Lsn lsn(const std::optional<Bytes>& text) {
  return text ? routing::parse_lsn(*text).value_or(0) : 0;
}

/// The server is there and says no: too many connections, not this role, not this database.
bool is_refusal(std::string_view sqlstate) {
  return !sqlstate.empty() && !sqlstate.starts_with("08") && !sqlstate.starts_with("57");
}

}  // namespace

SideConnection::Target monitor_login(const Pool& pool, const Endpoint& host) {
  const PoolTarget& target = pool.target();
  SideConnection::Target to = SideConnection::target_at(
      target, host, target.monitor_user.empty() ? pool.key().user : target.monitor_user);
  to.credential = target.monitor_credential ? *target.monitor_credential
                                            : pool.credential().value_or(auth::NoCredential{});
  to.parameters = {{"application_name", "forebay monitor"}, {"search_path", "pg_catalog"}};
  return to;
}

void HostProbe::ask(const std::shared_ptr<Pool>& login, Duration patience) {
  if (asking_) return;
  if (std::exchange(moved_, false)) close();
  asking_ = true;
  engine_.timers().arm(timer_, engine_.now() + patience);
  if (connection_.logged_in()) {
    put_question();
    return;
  }
  login_ = login;
  connection_.open(monitor_login(*login, endpoint_));
}

void HostProbe::host_moved(const std::string& host, const std::vector<std::string>& addresses) {
  if (endpoint_.host == host) moved_ = connection_.leads_elsewhere(addresses);
}

void HostProbe::close() {
  timer_.cancel();
  connection_.close();
  asking_ = false;
}

void HostProbe::on_side_lost(const Refused& why) {
  fail(why.message, is_refusal(why.sqlstate));
}

// ---------------------------------------------------------------- question and answer

void HostProbe::put_question() {
  row_ = false;
  error_.clear();
  sample_ = {};
  sample_.asked = engine_.now();
  std::string out;
  pg::write_query(out, kQuestion);
  connection_.send(out);
}

void HostProbe::on_said(char type, Bytes body) {
  switch (type) {
    case 'D':
      read_row(body);
      return;
    case 'E':
      error_.assign(pg::backend::Fields::parse(body).message);
      return;
    case 'Z':
      answered();
      return;
    default:
      return;
  }
}

void HostProbe::read_row(Bytes body) {
  const auto row = pg::backend::DataRow::parse(body);
  const auto values = row ? row->decode() : std::nullopt;
  if (!values || values->size() != kColumns || !values->front()) return;
  const auto& columns = *values;
  row_ = true;
  sample_.role = *columns[0] == "t" ? routing::Role::replica : routing::Role::primary;
  sample_.system_identifier = number<std::uint64_t>(columns[1]);
  sample_.timeline = number<std::uint32_t>(columns[2]);
  sample_.lsn = lsn(columns[3]);
  sample_.received = lsn(columns[4]);
  sample_.started = number<std::uint64_t>(columns[7]);
  sample_.timeline_hidden = columns[8] == "t";
  sample_.insert_lsn = routing::normalized(lsn(columns[5]), number<std::uint64_t>(columns[6]));
}

void HostProbe::answered() {
  if (!asking_) return;
  if (!row_) {
    fail(error_.empty() ? "the server gave no answer" : error_, true);
    return;
  }
  timer_.cancel();
  asking_ = false;
  told_.on_answer(host_, sample_);
}

void HostProbe::fail(const std::string& why, bool spoke) {
  const bool asked = asking_;
  close();
  if (asked) told_.on_no_answer(host_, why, spoke);
}

void HostProbe::on_timer(void* self) {
  static_cast<HostProbe*>(self)->fail("no answer within primary_lease", false);
}

}  // namespace forebay::core
