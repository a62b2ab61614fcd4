#include <utility>

#include "admin/console_session.hpp"
#include "core/engine/engine.hpp"
#include "forebay/protocol/postgres/frontend.hpp"
#include "forebay/protocol/postgres/sqlstate.hpp"
#include "forebay/protocol/postgres/writer.hpp"

// What a client of the console says, and how it is answered.
namespace forebay::admin {
namespace {

using pg::backend::TransactionStatus;
using pg::frontend::Target;

/// No command needs as much.
constexpr std::uint32_t kMessageSizeMax = 64 * 1024;
/// Prepared statements and portals of one client.
constexpr std::size_t kNamesMax = 1000;

// What drivers expect to hear. The version is a number for them.
constexpr std::pair<Bytes, Bytes> kParameters[] = {
    {"server_version", "15.0 (Forebay console)"},
    {"server_encoding", "UTF8"},
    {"client_encoding", "UTF8"},
    {"DateStyle", "ISO, MDY"},
    {"TimeZone", "GMT"},
    {"integer_datetimes", "on"},
    {"standard_conforming_strings", "on"},
    {"default_transaction_read_only", "off"},
    {"in_hot_standby", "off"},
};

}  // namespace

void ConsoleSession::greet() {
  for (const auto& [name, value] : kParameters) pg::write_parameter_status(out_, name, value);
  pg::write_parameter_status(out_, "is_superuser", role() == Role::admin ? "on" : "off");
  // A cancel request finds nothing under it: no worker has such a number.
  std::array<char, 4> key{};
  engine_.io().entropy(key);
  pg::write_backend_key_data(out_, 0x7fffffff, {key.data(), key.size()});
  ready();
}

void ConsoleSession::ready() {
  pg::write_ready_for_query(out_, status_);
}

// ---------------------------------------------------------------- bytes

void ConsoleSession::on_received(Bytes bytes) {
  input_.append(bytes);
  // It waits for an answer that does not come, or sends more than anybody needs.
  if (input_.size() > 4 * kMessageSizeMax) {
    fatal({pg::sqlstate::kProgramLimitExceeded, "too much was sent to the console at once"});
    return;
  }
  advance();
}

void ConsoleSession::on_writable() {
  flush();
  advance();
}

void ConsoleSession::flush() {
  if (closed_ || out_.empty()) return;
  const Bytes piece = out_;
  out_.erase(0, stream_->send({&piece, 1}));
}

// Goes on with what was said, as long as nothing has to be waited for and the client reads.
void ConsoleSession::advance() {
  while (!closed_ && waiting_ == Waiting::no) {
    flush();
    if (!out_.empty()) return;
    if (!queue_.empty()) {
      portal_ = nullptr;
      start(Command(queue_.front()));
    } else if (!next_message()) {
      return;
    }
  }
  flush();
}

bool ConsoleSession::next_message() {
  constexpr std::size_t kHeader = 5;
  if (input_.size() < kHeader) return false;
  const std::uint32_t size = load_u32(input_.data() + 1);
  if (size < 4 || size > kMessageSizeMax) {
    fatal({pg::sqlstate::kProtocolViolation, "invalid message length"});
    return false;
  }
  if (input_.size() < 1 + size) return false;
  const std::string message = input_.substr(0, 1 + size);
  input_.erase(0, message.size());
  handle(message[0], Bytes(message).substr(kHeader));
  return !closed_;
}

void ConsoleSession::handle(char type, Bytes body) {
  if (skip_to_sync_ && type != 'S' && type != 'X') return;
  switch (type) {
    case 'Q':
      return on_query(body);
    case 'P':
      return on_parse(body);
    case 'B':
      return on_bind(body);
    case 'D':
      return on_describe(body);
    case 'E':
      return on_execute(body);
    case 'C':
      return on_close(body);
    case 'S':
      skip_to_sync_ = false;
      portals_.clear();
      return ready();
    case 'H':
      return flush();
    case 'X':
      return close();
    case 'd':
    case 'c':
    case 'f':
      return;  // the rest of a copy that was refused
    default:
      fatal({pg::sqlstate::kProtocolViolation, "invalid message of the console's client"});
  }
}

void ConsoleSession::protocol_error() {
  fatal({pg::sqlstate::kProtocolViolation, "invalid message format"});
}

void ConsoleSession::fatal(const core::Refused& reason) {
  if (closed_) return;
  pg::write_error(out_, reason.report("FATAL"));
  flush();
  close();
}

void ConsoleSession::close() {
  if (std::exchange(closed_, true)) return;
  timer_.cancel();
  stream_.reset();
  take_back();
  engine_.console_closed(*this);
}

// ---------------------------------------------------------------- simple protocol

void ConsoleSession::on_query(Bytes body) {
  const auto query = pg::frontend::Query::parse(body);
  if (!query) return protocol_error();
  portal_ = nullptr;
  auto parsed = parse(query->text);
  if (const auto* refused = std::get_if<core::Refused>(&parsed)) return failed(*refused);
  for (Command& command : std::get<std::vector<Command>>(parsed)) {
    queue_.push_back(std::move(command));
  }
  if (!queue_.empty()) return;
  pg::write_empty(out_, pg::Backend::EmptyQueryResponse);
  ready();
}

void ConsoleSession::done(std::string_view tag) {
  pg::write_command_complete(out_, tag);
  if (portal_ != nullptr) return;
  queue_.pop_front();
  if (queue_.empty()) ready();
}

void ConsoleSession::failed(const core::Refused& reason) {
  pg::write_error(out_, reason.report("ERROR"));
  if (status_ == TransactionStatus::in_transaction) status_ = TransactionStatus::failed;
  if (std::exchange(portal_, nullptr) != nullptr) {
    skip_to_sync_ = true;
    return;
  }
  queue_.clear();
  ready();
}

void ConsoleSession::done_with(Rows rows) {
  if (portal_ != nullptr) {
    portal_->rows = std::move(rows);
    send_rows();
    return;
  }
  write_columns(out_, current_.show->columns, {});
  for (const Row& row : rows) write_row(out_, current_.show->columns, row, {});
  done("SHOW");
}

// ---------------------------------------------------------------- extended protocol

void ConsoleSession::on_parse(Bytes body) {
  const auto message = pg::frontend::Parse::parse(body);
  if (!message) return protocol_error();
  auto parsed = parse(message->text);
  std::optional<core::Refused> refused;
  if (auto* error = std::get_if<core::Refused>(&parsed)) {
    refused = std::move(*error);
  } else if (std::get<std::vector<Command>>(parsed).size() > 1) {
    refused = {pg::sqlstate::kSyntaxError,
               "cannot insert multiple commands into a prepared statement"};
  } else if (!message->statement.empty() && statements_.contains(message->statement)) {
    refused = {pg::sqlstate::kDuplicatePreparedStatement,
               "prepared statement \"" + std::string(message->statement) + "\" already exists"};
  } else if (statements_.size() >= kNamesMax) {
    refused = {pg::sqlstate::kProgramLimitExceeded, "too many prepared statements"};
  }
  if (refused) {
    failed_in_batch(*refused);
    return;
  }
  auto& commands = std::get<std::vector<Command>>(parsed);
  statements_.insert_or_assign(std::string(message->statement),
                               commands.empty() ? Command{} : std::move(commands.front()));
  pg::write_empty(out_, pg::Backend::ParseComplete);
}

void ConsoleSession::failed_in_batch(const core::Refused& reason) {
  pg::write_error(out_, reason.report("ERROR"));
  if (status_ == TransactionStatus::in_transaction) status_ = TransactionStatus::failed;
  skip_to_sync_ = true;
}

void ConsoleSession::on_bind(Bytes body) {
  const auto message = pg::frontend::Bind::parse(body);
  if (!message) return protocol_error();
  const auto statement = statements_.find(message->statement);
  if (statement == statements_.end()) {
    return failed_in_batch(
        {pg::sqlstate::kInvalidStatementName,
         "prepared statement \"" + std::string(message->statement) + "\" does not exist"});
  }
  if (portals_.size() >= kNamesMax) {
    return failed_in_batch({pg::sqlstate::kProgramLimitExceeded, "too many portals"});
  }
  const std::optional<std::vector<std::uint16_t>> formats = result_formats(message->values);
  const std::size_t columns =
      statement->second.show == nullptr ? 0 : statement->second.show->columns.size();
  if (!formats || (formats->size() > 1 && formats->size() != columns)) {
    return failed_in_batch({pg::sqlstate::kProtocolViolation,
                            "commands of the console take no parameters, and one result format or "
                            "one for each column"});
  }
  portals_.insert_or_assign(std::string(message->portal), Portal{statement->second, *formats});
  pg::write_empty(out_, pg::Backend::BindComplete);
}

// Behind the names: parameter formats, values and result formats. Nothing when there are values.
std::optional<std::vector<std::uint16_t>> ConsoleSession::result_formats(Bytes values) {
  const auto u16 = [&]() -> std::optional<std::uint16_t> {
    if (values.size() < 2) return std::nullopt;
    const std::uint16_t value = load_u16(values.data());
    values.remove_prefix(2);
    return value;
  };
  auto count = u16();
  if (!count) return std::nullopt;
  for (; *count > 0; --*count) {
    if (!u16()) return std::nullopt;
  }
  if (const auto parameters = u16(); !parameters || *parameters > 0) return std::nullopt;
  count = u16();
  if (!count) return std::nullopt;
  std::vector<std::uint16_t> formats;
  for (; *count > 0; --*count) {
    const auto format = u16();
    if (!format || *format > 1) return std::nullopt;
    formats.push_back(*format);
  }
  return formats;
}

void ConsoleSession::describe(const Command& command, std::span<const std::uint16_t> formats) {
  if (command.show == nullptr) {
    pg::write_empty(out_, pg::Backend::NoData);
  } else {
    write_columns(out_, command.show->columns, formats);
  }
}

void ConsoleSession::on_describe(Bytes body) {
  const auto message = pg::frontend::Describe::parse(body);
  if (!message) return protocol_error();
  const std::string name(message->name);
  if (message->target == Target::portal) {
    const auto portal = portals_.find(name);
    if (portal == portals_.end()) {
      return failed_in_batch({"34000", "portal \"" + name + "\" does not exist"});
    }
    return describe(portal->second.command, portal->second.formats);
  }
  const auto statement = statements_.find(name);
  if (statement == statements_.end()) {
    return failed_in_batch({pg::sqlstate::kInvalidStatementName,
                            "prepared statement \"" + name + "\" does not exist"});
  }
  pg::MessageWriter(out_, pg::Backend::ParameterDescription).u16(0);
  describe(statement->second, {});
}

void ConsoleSession::on_execute(Bytes body) {
  const auto message = pg::frontend::Execute::parse(body);
  if (!message) return protocol_error();
  const auto found = portals_.find(message->portal);
  if (found == portals_.end()) {
    return failed_in_batch(
        {"34000", "portal \"" + std::string(message->portal) + "\" does not exist"});
  }
  Portal& portal = found->second;
  portal.max_rows = message->max_rows;
  if (portal.command.empty()) {
    pg::write_empty(out_, pg::Backend::EmptyQueryResponse);
    return;
  }
  portal_ = &portal;
  if (portal.rows) {
    send_rows();
  } else {
    start(portal.command);
  }
}

// Rows of the portal at hand, as many as were asked for.
void ConsoleSession::send_rows() {
  Portal& portal = *portal_;
  const Rows& rows = *portal.rows;
  std::size_t end = rows.size();
  if (portal.max_rows > 0) end = std::min(end, portal.sent + portal.max_rows);
  const auto columns = portal.command.show->columns;
  for (; portal.sent < end; ++portal.sent) {
    write_row(out_, columns, rows[portal.sent], portal.formats);
  }
  if (portal.sent < rows.size()) {
    pg::write_empty(out_, pg::Backend::PortalSuspended);
  } else {
    done("SHOW");
  }
}

void ConsoleSession::on_close(Bytes body) {
  const auto message = pg::frontend::Close::parse(body);
  if (!message) return protocol_error();
  const std::string name(message->name);
  if (message->target == Target::portal) {
    portals_.erase(name);
  } else {
    statements_.erase(name);
  }
  pg::write_empty(out_, pg::Backend::CloseComplete);
}

}  // namespace forebay::admin
