#include "core/monitor/host_probe.hpp"

#include <charconv>
#include <utility>

#include "core/engine/engine.hpp"
#include "core/pool/pool.hpp"
#include "forebay/base/assert.hpp"
#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/reader.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {
namespace {

using config::TlsMode;

/// An answer is one short row.
constexpr std::size_t kReceivedMax = 64 * 1024;
constexpr std::size_t kHeader = 5;
constexpr std::size_t kColumns = 7;

/// The control file learns of a new timeline late, so on a primary the name of the log's file says
/// it; on a replica what is newest of three. Everything here is open to every role, except the
/// receiver's timeline, which is NULL without pg_monitor.
constexpr std::string_view kQuestion =
    "SELECT r, (SELECT system_identifier FROM pg_control_system()),"
    " CASE WHEN r THEN greatest((SELECT timeline_id FROM pg_control_checkpoint()),"
    " (SELECT min_recovery_end_timeline FROM pg_control_recovery()),"
    " (SELECT received_tli FROM pg_stat_wal_receiver))"
    " ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,"
    " CASE WHEN r THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,"
    " pg_last_wal_receive_lsn(), CASE WHEN NOT r THEN pg_current_wal_insert_lsn() END,"
    " pg_size_bytes(current_setting('wal_segment_size'))"
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

void HostProbe::ask(const std::shared_ptr<Pool>& login, Duration patience) {
  if (asking_) return;
  asking_ = true;
  engine_.timers().arm(timer_, engine_.now() + patience);
  if (stream_ != nullptr && login_ == nullptr) {
    put_question();
    return;
  }
  pool_ = login;
  retried_ = LinkLogin::Retry::none;
  version_ = pg::kProtocol3_2;
  with_tls_ = pool_->target().tls_mode != TlsMode::allow;
  connect();
}

void HostProbe::close() {
  timer_.cancel();
  stream_.reset();
  login_.reset();
  pool_.reset();
  received_.clear();
  asking_ = false;
}

void HostProbe::connect() {
  const PoolTarget& target = pool_->target();
  LinkLogin::Setup setup;
  setup.user = target.monitor_user.empty() ? pool_->key().user : target.monitor_user;
  setup.database = target.database;
  setup.version = version_;
  setup.tls_mode =
      endpoint_.is_unix() || target.tls == nullptr ? TlsMode::disable : target.tls_mode;
  setup.begin_with_tls = with_tls_;
  setup.cleartext_allowed = endpoint_.is_unix() || engine_.config().cleartext_without_tls;
  setup.credential = target.monitor_credential ? target.monitor_credential
                                               : pool_->credential().value_or(auth::NoCredential{});
  setup.parameters = {{"application_name", "forebay monitor"}, {"search_path", "pg_catalog"}};
  engine_.io().entropy(setup.nonce);
  received_.clear();
  login_ = std::make_unique<LinkLogin>(std::move(setup));
  stream_ = engine_.io().connect(endpoint_, *this);
}

// So few bytes always fit a connection on which nothing else is sent; if not, the answer is missed.
void HostProbe::send(Bytes bytes) {
  stream_->send({&bytes, 1});
}

// ---------------------------------------------------------------- login

void HostProbe::on_connected() {
  std::string out;
  login_->connected(out);
  send(out);
}

void HostProbe::on_secured() {
  std::string out;
  login_->secured(*stream_->tls(), out);
  send(out);
}

void HostProbe::on_received(Bytes bytes) {
  received_.append(bytes);
  if (received_.size() > kReceivedMax) {
    fail("the answer is longer than " + std::to_string(kReceivedMax) + " bytes", false);
    return;
  }
  if (login_ != nullptr) {
    login_received();
    return;
  }
  while (stream_ != nullptr && next_message()) {
  }
}

void HostProbe::login_received() {
  while (login_ != nullptr && !received_.empty()) {
    std::size_t consumed = 0;
    std::string out;
    const Stream* stream = stream_.get();
    LinkLogin::Outcome outcome = login_->receive(received_, consumed, out);
    received_.erase(0, consumed);
    if (!out.empty()) send(out);
    if (!handle(std::move(outcome)) || stream != stream_.get() || consumed == 0) return;
  }
}

// False when the login is over, or begins anew.
bool HostProbe::handle(LinkLogin::Outcome outcome) {
  if (auto* need = std::get_if<LinkLogin::NeedKeys>(&outcome)) {
    const auto* password = std::get_if<auth::Password>(&login_->credential());
    FB_ASSERT(password != nullptr);
    std::string out;
    LinkLogin::Outcome next = login_->supply(pool_->scram_keys(*password, need->request), out);
    if (!out.empty()) send(out);
    return handle(std::move(next));
  }
  if (std::holds_alternative<LinkLogin::StartTls>(outcome)) {
    stream_->start_tls_client(pool_->target().tls, endpoint_.host, false);
    return true;
  }
  if (std::holds_alternative<LinkLogin::Ready>(outcome)) {
    login_.reset();
    pool_.reset();
    put_question();
    return false;
  }
  const auto* failed = std::get_if<LinkLogin::Failed>(&outcome);
  if (failed == nullptr) return true;
  using Retry = LinkLogin::Retry;
  if (failed->retry == Retry::none || failed->retry == retried_) {
    fail(failed->reason.message, is_refusal(failed->reason.sqlstate));
    return false;
  }
  retried_ = failed->retry;
  if (retried_ == Retry::version_3_0) {
    version_ = pg::kProtocol3_0;
  } else {
    with_tls_ = retried_ == Retry::with_tls;
  }
  connect();
  return false;
}

// ---------------------------------------------------------------- question and answer

void HostProbe::put_question() {
  row_ = false;
  error_.clear();
  sample_ = {};
  sample_.asked = engine_.now();
  std::string out;
  pg::write_query(out, kQuestion);
  send(out);
}

// Handles the message at the front; false when there is none, or nothing more to do.
bool HostProbe::next_message() {
  if (received_.size() < kHeader) return false;
  const std::uint32_t length = pg::Reader(Bytes(received_).substr(1)).u32();
  if (length < 4 || length > kReceivedMax) {
    fail("the server broke the protocol", false);
    return false;
  }
  if (received_.size() < 1 + std::size_t{length}) return false;
  const std::string message = received_.substr(0, 1 + std::size_t{length});
  received_.erase(0, message.size());
  const Bytes body = Bytes(message).substr(kHeader);
  switch (message.front()) {
    case 'D':
      read_row(body);
      return true;
    case 'E':
      error_.assign(pg::backend::Fields::parse(body).message);
      return true;
    case 'Z':
      answered();
      return false;
    default:
      return true;
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
