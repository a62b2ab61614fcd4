#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "bench/macro/sockets.hpp"
#include "forebay/base/bytes.hpp"
#include "forebay/protocol/postgres/frontend.hpp"
#include "forebay/protocol/postgres/writer.hpp"

/// A server that costs next to nothing: trusts everybody and answers every statement with one row.
/// `rows N` is answered with N bytes of rows. Prepared statements are kept for each connection, so
/// that a pooler that mixes them up gets an error.
namespace forebay::bench {
namespace {

constexpr std::uint32_t kListening = 0xffffffff;
constexpr std::size_t kRowBytes = 8 * 1024;
/// So much of a large result is made at a time.
constexpr std::size_t kAhead = 256 * 1024;

using Status = pg::backend::TransactionStatus;

std::string row_of(std::size_t bytes) {
  std::string out;
  const std::string value(bytes, 'x');
  const Bytes values[] = {value};
  pg::write_data_row(out, values);
  return out;
}

const std::string& columns() {
  static const std::string made = [] {
    std::string out;
    const Bytes names[] = {"c"};
    pg::write_row_description(out, names);
    return out;
  }();
  return made;
}

const std::string& one_row() {
  static const std::string made = row_of(1);
  return made;
}

class Connection {
 public:
  explicit Connection(int descriptor) : socket(descriptor) {}

  /// False when the client has gone or said something wrong.
  bool received(Bytes bytes) {
    in_ += bytes;
    Bytes rest = in_;
    while (started_ ? message(rest) : startup(rest)) {
    }
    if (broken_) return false;
    in_.erase(0, in_.size() - rest.size());
    return go_on();
  }

  bool go_on() {
    for (;;) {
      while (rows_left_ > 0 && out.size() < kAhead) {
        static const std::string row = row_of(kRowBytes);
        out += row;
        if (--rows_left_ == 0) out += after_rows_;
      }
      const Flow flow = send_from(socket, out, at_);
      if (flow == Flow::over) return false;
      if (flow == Flow::later) return true;
      out.clear();
      at_ = 0;
      if (rows_left_ == 0) return true;
    }
  }

  [[nodiscard]] bool wants_room() const { return !out.empty(); }

  int socket;
  std::string out;
  bool for_room = false;  ///< as epoll was told

 private:
  bool startup(Bytes& rest) {
    if (rest.size() < 8 || rest.size() < load_u32(rest.data())) return false;
    const std::uint32_t code = load_u32(rest.data() + 4);
    rest.remove_prefix(load_u32(rest.data()));
    if (code == pg::kSslRequestCode || code == pg::kGssEncRequestCode) {
      out += 'N';
      return true;
    }
    broken_ = code == pg::kCancelRequestCode;
    started_ = true;
    pg::write_authentication(out, pg::backend::AuthenticationCode::Ok);
    for (const auto& [name, value] : {std::pair<Bytes, Bytes>{"server_version", "15.0"},
                                      {"server_encoding", "UTF8"},
                                      {"client_encoding", "UTF8"},
                                      {"application_name", ""},
                                      {"DateStyle", "ISO, MDY"},
                                      {"IntervalStyle", "postgres"},
                                      {"TimeZone", "Etc/UTC"},
                                      {"integer_datetimes", "on"},
                                      {"standard_conforming_strings", "on"},
                                      {"is_superuser", "off"},
                                      {"session_authorization", "bench"}}) {
      pg::write_parameter_status(out, name, value);
    }
    pg::write_backend_key_data(out, static_cast<std::uint32_t>(socket), "none");
    pg::write_ready_for_query(out, status_);
    return true;
  }

  bool message(Bytes& rest) {
    if (rest.size() < 5) return false;
    const std::size_t size = 1 + std::size_t{load_u32(rest.data() + 1)};
    if (rest.size() < size) return false;
    handle(rest[0], rest.substr(5, size - 5));
    rest.remove_prefix(size);
    return !broken_;
  }

  void handle(char type, Bytes body) {
    if (failed_ && type != 'S' && type != 'X') return;
    switch (type) {
      case 'Q':
        query(body.substr(0, body.size() - 1));
        return;
      case 'P':
        if (const auto parse = pg::frontend::Parse::parse(body)) {
          statements_.insert(std::string(parse->statement));
          pg::write_empty(out, pg::Backend::ParseComplete);
        }
        return;
      case 'B':
        bind(body);
        return;
      case 'D':
        out += columns();
        return;
      case 'E':
        out += one_row();
        pg::write_command_complete(out, "SELECT 1");
        return;
      case 'C':
        pg::write_empty(out, pg::Backend::CloseComplete);
        return;
      case 'S':
        failed_ = false;
        pg::write_ready_for_query(out, status_);
        return;
      default:
        broken_ = true;
    }
  }

  void bind(Bytes body) {
    const auto bind = pg::frontend::Bind::parse(body);
    if (bind && statements_.contains(bind->statement)) {
      pg::write_empty(out, pg::Backend::BindComplete);
      return;
    }
    failed_ = true;
    pg::write_error(out, {"ERROR", "26000", "there is no such prepared statement"});
  }

  void query(Bytes text) {
    constexpr Bytes kRows = "rows ";
    if (text.starts_with(kRows)) {
      const auto bytes = std::strtoull(std::string(text.substr(kRows.size())).c_str(), nullptr, 10);
      rows_left_ = std::max<std::uint64_t>(1, bytes / kRowBytes);
      out += columns();
      after_rows_.clear();
      pg::write_command_complete(after_rows_, "SELECT");
      pg::write_ready_for_query(after_rows_, status_);
      return;
    }
    if (text == "BEGIN" || text == "COMMIT" || text == "ROLLBACK") {
      status_ = text == "BEGIN" ? Status::in_transaction : Status::idle;
      pg::write_command_complete(out, text);
    } else if (text.empty() || text.starts_with("DISCARD")) {
      pg::write_command_complete(out, "DISCARD ALL");
    } else {
      out += columns();
      out += one_row();
      pg::write_command_complete(out, "SELECT 1");
    }
    pg::write_ready_for_query(out, status_);
  }

  std::string in_;
  std::size_t at_ = 0;
  std::uint64_t rows_left_ = 0;
  std::string after_rows_;
  std::set<std::string, std::less<>> statements_;
  Status status_ = Status::idle;
  bool started_ = false;
  bool failed_ = false;  ///< skips to the next Sync
  bool broken_ = false;
};

[[noreturn]] void serve(std::uint16_t port) {
  Poll poll;
  const int listening = listen_at(port);
  poll.add(listening, kListening);
  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<char> room(64 * 1024);
  for (;;) {
    for (const epoll_event& event : poll.wait(-1)) {
      if (event.data.u32 == kListening) {
        const int accepted = accept_from(listening);
        if (accepted < 0) continue;
        poll.add(accepted, static_cast<std::uint32_t>(connections.size()));
        connections.push_back(std::make_unique<Connection>(accepted));
        continue;
      }
      auto& connection = connections[event.data.u32];
      if (connection == nullptr) continue;
      bool lives = true;
      if ((event.events & EPOLLOUT) != 0) lives = connection->go_on();
      if (lives && (event.events & ~std::uint32_t{EPOLLOUT}) != 0) {
        const Moved moved = receive(connection->socket, room);
        lives = moved.flow == Flow::later ||
                (moved.flow == Flow::some && connection->received({room.data(), moved.bytes}));
      }
      if (!lives) {
        ::close(connection->socket);
        connection.reset();
      } else if (connection->wants_room() != connection->for_room) {
        connection->for_room = connection->wants_room();
        poll.change(connection->socket, event.data.u32,
                    EPOLLIN | (connection->for_room ? EPOLLOUT : 0U));
      }
    }
  }
}

}  // namespace
}  // namespace forebay::bench

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench_backend PORT\n");
    return 2;
  }
  forebay::bench::serve(static_cast<std::uint16_t>(std::atoi(argv[1])));
}
