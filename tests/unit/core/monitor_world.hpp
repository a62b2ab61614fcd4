#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/words.hpp"
#include "support/world.hpp"

// Two hosts that are watched, with servers that say what the test wants.
namespace forebay::core {

using namespace std::chrono_literals;
using test::FarEnd;

inline const Endpoint kTwo{"db2", 5432};
inline const Endpoint kThree{"db3", 5432};

inline constexpr const char* kPrimary =
    R"(DataRow "f" "7" "1" "0/1000" null "0/1000" "16777216" null null ;)"
    R"( CommandComplete "SELECT 1" ; ReadyForQuery I)";
inline constexpr const char* kReplica =
    R"(DataRow "t" "7" "1" "0/1000" "0/1000" null "16777216" null null ;)"
    R"( CommandComplete "SELECT 1" ; ReadyForQuery I)";
inline constexpr const char* kRefusal = R"(ErrorResponse ERROR 42501 "no" ; ReadyForQuery I)";

class MonitorTest : public ::testing::Test {
 protected:
  explicit MonitorTest(config::Config configuration = config()) : world(std::move(configuration)) {
    world.on_quiet = [this] { return serve(); };
    client = world.connect();
    client.send(
        test::encode_startup(test::split(R"(Startup 3.0 user="u" database="app")").front()));
    world.settle();
    EXPECT_EQ(test::backend_text(client.read()).substr(0, 16), "AuthenticationOk");
  }

  static config::Config config() {
    config::Config config = test::plain_config();
    config.databases["app"].hosts = {test::kHost, kTwo};
    config.databases["app"].monitor_user = "watch";
    config.pool.split_reads = true;
    config.pool.read_consistency = config::ReadConsistency::none;
    return config;
  }

  struct Server {
    FarEnd end;
    std::size_t host = 0;
    bool in = false;
  };

  // Everybody is let in.
  bool serve() {
    bool any = false;
    for (; !world.accepted.empty(); world.accepted.pop_front()) {
      FarEnd end = world.accepted.front();
      const Endpoint& host = end.channel().endpoint;
      servers.push_back({end, host == kTwo ? 1u : host == kThree ? 2u : 0u});
    }
    for (Server& server : servers) {
      if (server.host == hung) continue;
      const std::string bytes = server.end.read();
      if (bytes.empty() || server.end.closed()) continue;
      any = true;
      if (std::exchange(server.in, true)) {
        answer(server, test::frontend_text(bytes));
      } else {
        server.end.send(test::backend(std::string(R"(AuthenticationOk ; ParameterStatus )") +
                                      R"("server_version" "15.0" ; ParameterStatus )" +
                                      R"("in_hot_standby" ")" + (server.host > 0 ? "on" : "off") +
                                      R"(" ; BackendKeyData 1 "key1" ; ReadyForQuery I)"));
      }
    }
    return any;
  }

  void answer(Server& server, const std::string& asked) {
    if (asked.find("pg_control_system") != std::string::npos) {
      server.end.send(test::backend(says[server.host]));
    } else if (asked.find("pg_proc") != std::string::npos) {
      ++asked_functions;
      EXPECT_EQ(server.host, 0u) << "the primary knows first";
      functions_from = server.end;
      if (hangs) return;
      server.end.send(test::backend(functions + R"(CommandComplete "SELECT 9" ; ReadyForQuery I)"));
    } else if (asked.find("Parse") == 0) {
      const bool executes = asked.find("Execute") != std::string::npos;
      if (executes) ran = server.host;
      server.end.send(test::backend(
          std::string("ParseComplete ; ") +
          (executes ? "BindComplete ; CommandComplete \"SELECT 1\" ; " : "") + "ReadyForQuery I"));
    } else if (asked.find("Bind") == 0) {
      ran = server.host;
      server.end.send(
          test::backend(R"(BindComplete ; CommandComplete "SELECT 1" ; ReadyForQuery I)"));
    } else if (asked.find("Query") != std::string::npos) {
      ran = server.host;
      const bool ddl = asked.find("create") != std::string::npos;
      if (hangs) return;
      server.end.send(test::backend(std::string("CommandComplete \"") +
                                    (ddl ? "CREATE FUNCTION" : "SELECT 1") + "\" ; ReadyForQuery " +
                                    (inside ? "T" : "I")));
    }
  }

  /// The host that ran it.
  std::size_t run(const std::string& text) {
    ran = SIZE_MAX;
    client.send(test::frontend("Query " + test::quote(text)));
    world.settle();
    return ran;
  }

  std::size_t execute(const std::string& name) {
    ran = SIZE_MAX;
    client.send(test::frontend("Bind \"\" " + test::quote(name) + " ; Execute \"\" ; Sync"));
    world.settle();
    return ran;
  }

  test::World world;
  FarEnd client;
  std::vector<Server> servers;
  /// To the monitor, by host; nothing: silence.
  std::map<std::size_t, std::string> says{{0, kRefusal}, {1, kRefusal}, {2, kRefusal}};
  std::string functions;
  std::size_t asked_functions = 0;
  FarEnd functions_from;
  std::size_t ran = SIZE_MAX;
  bool hangs = false;
  std::size_t hung = SIZE_MAX;  ///< this host takes connections, and says nothing
  bool inside = false;          ///< a transaction
};

}  // namespace forebay::core
