#include <array>
#include <utility>

#include "admin/show.hpp"

// SHOW CLIENTS, SERVERS, SOCKETS, ACTIVE_SOCKETS, FDS.
namespace forebay::admin {
namespace {

using core::ClientFacts;
using core::ServerFacts;
using core::WorkerReport;
constexpr Type kInt = Type::int4;

constexpr Column kConnections[] = {{"type"},
                                   {"user"},
                                   {"database"},
                                   {"replication"},
                                   {"state"},
                                   {"addr"},
                                   {"port", kInt},
                                   {"local_addr"},
                                   {"local_port", kInt},
                                   {"connect_time"},
                                   {"request_time"},
                                   {"wait", kInt},
                                   {"wait_us", kInt},
                                   {"close_needed", kInt},
                                   {"ptr"},
                                   {"link"},
                                   {"remote_pid", kInt},
                                   {"tls"},
                                   {"application_name"},
                                   {"prepared_statements", kInt},
                                   {"id", kInt}};
constexpr std::size_t kWidth = std::size(kConnections);

template <std::size_t size>
constexpr auto extended(const Column (&more)[size]) {
  std::array<Column, kWidth + size> all{};
  for (std::size_t i = 0; i < kWidth; ++i) all[i] = kConnections[i];
  for (std::size_t i = 0; i < size; ++i) all[kWidth + i] = more[i];
  return all;
}
constexpr auto kClientsExtended =
    extended({Column{"worker", kInt}, {"pins"}, {"pinned", kInt}, {"tenant"}});
constexpr auto kServersExtended = extended({Column{"worker", kInt}, {"host"}, {"client_id", kInt}});

std::string pins(core::Pins pinned) {
  std::string text;
  for (std::size_t i = 0; i < core::kPinNames.size(); ++i) {
    if ((pinned >> i & 1) == 0) continue;
    if (!text.empty()) text += ',';
    text += core::kPinNames[i];
  }
  return text;
}

std::string pointer(std::uint32_t id) {
  return id == 0 ? std::string() : "c" + std::to_string(id);
}

std::string server_name(const WorkerReport& report, std::size_t index) {
  return "s" + std::to_string(report.worker.value()) + "." + std::to_string(index + 1);
}

// The endpoint of ours that clients come to, as far as one can say.
const Endpoint& local(const View& view, bool unix_socket) {
  for (const Endpoint& listen : view.config.listen) {
    if (listen.is_unix() == unix_socket) return listen;
  }
  return view.config.listen.front();
}

Row client_row(const View& view, const WorkerReport& report, const ClientFacts& client) {
  const Endpoint& ours = local(view, client.peer.unix_socket);
  std::int64_t waited = 0;
  if (client.waits_since != kNever && client.waits_since <= view.now) {
    waited = std::chrono::duration_cast<std::chrono::microseconds>(view.now - client.waits_since)
                 .count();
  }
  std::string link;
  for (std::size_t i = 0; i < report.servers.size(); ++i) {
    if (report.servers[i].client == client.id) link = server_name(report, i);
  }
  const std::string connected = moment(view, client.connected);
  return {"C",
          client.user,
          client.database,
          client.replication ? "yes" : "none",
          client.state,
          client.peer.unix_socket ? std::string("unix") : client.peer.address,
          client.peer.port,
          ours.is_unix() ? std::string("unix") : ours.host,
          ours.port,
          connected,
          connected,
          waited / 1'000'000,
          waited % 1'000'000,
          0,
          pointer(client.id),
          link,
          client.remote_pid,
          client.tls,
          client.application_name,
          client.prepared_statements,
          client.id};
}

Row server_row(const View& view, const WorkerReport& report, std::size_t index) {
  const ServerFacts& server = report.servers[index];
  const std::string connected = moment(view, server.connected);
  return {"S",
          server.user,
          server.database,
          server.replication ? "yes" : "none",
          server.state,
          server.host.is_unix() ? std::string("unix") : server.host.host,
          server.host.port,
          "",
          0,
          connected,
          connected,
          0,
          0,
          server.close_needed ? 1 : 0,
          server_name(report, index),
          pointer(server.client),
          server.process_id,
          server.tls,
          "",
          server.prepared_statements,
          index + 1};
}

Rows clients(const View& view) {
  Rows rows;
  for (const auto& report : view.reports) {
    for (const ClientFacts& client : report->clients) {
      rows.push_back(client_row(view, *report, client));
    }
  }
  return rows;
}

Rows clients_extended(const View& view) {
  Rows rows;
  for (const auto& report : view.reports) {
    for (const ClientFacts& client : report->clients) {
      Row row = client_row(view, *report, client);
      row.emplace_back(report->worker.value());
      row.emplace_back(pins(client.pins));
      row.emplace_back(client.pins == 0 ? 0 : 1);
      row.emplace_back(client.tenant);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

Rows servers(const View& view) {
  Rows rows;
  for (const auto& report : view.reports) {
    for (std::size_t i = 0; i < report->servers.size(); ++i) {
      rows.push_back(server_row(view, *report, i));
    }
  }
  return rows;
}

Rows servers_extended(const View& view) {
  Rows rows;
  for (const auto& report : view.reports) {
    for (std::size_t i = 0; i < report->servers.size(); ++i) {
      Row row = server_row(view, *report, i);
      row.emplace_back(report->worker.value());
      row.emplace_back(to_string(report->servers[i].host));
      row.emplace_back(report->servers[i].client);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

Rows sockets(const View& view) {
  Rows rows = clients(view);
  for (Row& row : servers(view)) rows.push_back(std::move(row));
  return rows;
}

}  // namespace

std::vector<ShowLine> show_connections() {
  constexpr bool kAsks = true;
  return {{"CLIENTS", kConnections, clients, kAsks},
          {"CLIENTS EXTENDED", kClientsExtended, clients_extended, kAsks},
          {"SERVERS", kConnections, servers, kAsks},
          {"SERVERS EXTENDED", kServersExtended, servers_extended, kAsks},
          {"SOCKETS", kConnections, sockets, kAsks},
          {"ACTIVE_SOCKETS", kConnections, sockets, kAsks}};
}

}  // namespace forebay::admin
