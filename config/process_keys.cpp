#include "config/keys.hpp"
#include "config/types.hpp"

// Keys of the process: where clients come in, how it ends, goes on, and what it writes down.
namespace forebay::config {

Keys<Config> listen_keys() {
  constexpr std::string_view kSection = "forebay";
  using C = Config;
  return {
      key(kSection, "listen", Effect::at_once, &C::listen, ListenAddresses{},
          "Addresses to listen on: host:port, [v6]:port, *:port for every address of the machine, "
          "or the path of a Unix socket. A directory gets \".s.PGSQL.6432\" in it."),
      key(kSection, "listen_allow_from", Effect::new_clients, &C::listen_allow_from,
          NetworksByName{},
          "allow_from of single listeners, by their names in listen: "
          "{\"10.0.0.1:6432\" = [\"10.0.0.0/8\"]}. Those for all hold besides."),
      key(kSection, "listen_deny_from", Effect::new_clients, &C::listen_deny_from, NetworksByName{},
          "deny_from of single listeners."),
      key(kSection, "listen_target", Effect::new_clients, &C::listen_target,
          ChoicesByName<ReadTarget>{{kReadTargets}, "{\"*:6433\" = \"replica\"}"},
          "target of [pool] for clients of single listeners, by their names in listen: "
          "{\"*:6433\" = \"replica\"}. It goes before that of the database and the user."),
      key(kSection, "proxy_protocol_from", Effect::new_clients, &C::proxy_protocol_from, Networks{},
          "Networks of balancers that begin each connection by the PROXY protocol, version 1 or 2. "
          "Limits, address rules and logs then see the client's address. From there the header is "
          "required; nobody else's is believed."),
      key(kSection, "peers", Effect::at_once, &C::peers, PeerAddresses{},
          "Machines that run Forebay behind one address, this one too: where the others reach each "
          "of them, such as [\"10.0.0.1:6432\", \"10.0.0.2:6432\"], in the same order on all. A "
          "cancel request that comes in at another than its client did is sent on to it, without "
          "encryption."),
      key(kSection, "peer_id", Effect::restart, &C::peer_id, Count{0, 31},
          "Which of peers this one is: 1 for the first; 0 without peers."),
      key(kSection, "unix_socket_mode", Effect::at_once, &C::unix_socket_mode, FileMode{},
          "Permissions of Unix sockets."),
  };
}

Keys<Config> process_keys() {
  constexpr std::string_view kSection = "forebay";
  using C = Config;
  return {
      key(kSection, "shutdown_timeout", Effect::at_once, &C::shutdown_timeout, Time{},
          "How long running transactions may take to end when Forebay is told to stop."),
      key(kSection, "suspend_timeout", Effect::at_once, &C::suspend_timeout, Time{},
          "How long SUSPEND in the console waits until every client is answered; after that "
          "nothing is suspended. 0 for as long as it takes."),
      key(kSection, "takeover_socket", Effect::restart, &C::takeover_socket,
          Text{"/run/forebay/takeover.sock"},
          "The path of a Unix socket at which another Forebay of the same operating-system user "
          "may take over, started with forebay serve --takeover; \"\" for none."),
  };
}

Keys<Config> log_keys() {
  constexpr std::string_view kSection = "log";
  using C = Config;
  return {
      key(kSection, "level", Effect::at_once, &C::log_level, Choice<LogLevel>{kLogLevels},
          "The least important messages that are still written."),
      key(kSection, "format", Effect::at_once, &C::log_format, Choice<LogFormat>{kLogFormats},
          "Lines for people, or one JSON object per line."),
      key(kSection, "file", Effect::at_once, &C::log_file, Text{"/var/log/forebay/forebay.log"},
          "A file to append to; \"\" for standard error."),
      key(kSection, "connections", Effect::at_once, &C::log_connections, Flag{},
          "Whether logins and the ends of connections are written."),
      key(kSection, "event_rate", Effect::at_once, &C::log_event_rate, Count{0, 1'000'000},
          "So many lines a second are written of each event (client_connected, "
          "authentication_failed ...), after ten times as many at once; another line says how many "
          "were left out. 0 for all."),
      key(kSection, "slow_query_log", Effect::restart, &C::slow_query_log,
          Text{"/var/log/forebay/slow.log"},
          "A file to which slow statements are appended, one JSON object per line; \"\" for none."),
      key(kSection, "slow_query_text", Effect::restart, &C::slow_query_text,
          Choice<SlowQueryText>{kSlowQueryTexts},
          "How slow statements are shown: redacted is without literals. full is as the client sent "
          "them, where it sent them as a simple query."),
      key(kSection, "slow_query_explains_per_minute", Effect::at_once,
          &C::slow_query_explains_per_minute, Count{0, 600},
          "For so many slow statements a minute, one of each shape in 10 minutes, the plan is "
          "asked "
          "for on another connection, by EXPLAIN without ANALYZE. A plan shows literals: needs "
          "slow_query_text = \"full\". 0 for none."),
  };
}

Keys<AuditSettings> audit_keys() {
  using A = AuditSettings;
  return {
      key("", "file", Effect::at_once, &A::file, Text{"/var/log/forebay/audit.log"},
          "A file to which these statements are appended, one JSON object per line, without their "
          "literals and parameters; \"\" for none. It may be renamed at any time: a new one is "
          "made."),
      key("", "ddl", Effect::at_once, &A::ddl, Flag{},
          "Statements that change the schema, and DO."),
      key("", "roles", Effect::at_once, &A::roles, Flag{},
          "Statements about roles, their rights and row security, and those that change the "
          "session's role."),
      key("", "refusals", Effect::at_once, &A::refusals, Flag{},
          "Statements that the policy of [tenants] refuses or reports."),
      key("", "rules", Effect::at_once, &A::rules, Flag{},
          "Statements that one of [[rules]] refuses, or would but for its dry_run, and those of "
          "rules with log = true."),
      key("", "tables", Effect::at_once, &A::tables, Texts{"[\"payments\"]"},
          "Tables and views of which every use is written: \"payments\" in every schema, "
          "\"app.payments\" in one, \"*\" for all."),
  };
}

}  // namespace forebay::config
