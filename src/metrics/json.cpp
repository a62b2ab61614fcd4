#include "metrics/json.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <utility>

#include "core/engine/shared.hpp"
#include "core/statistics/report.hpp"
#include "metrics/json_object.hpp"
#include "metrics/utf8.hpp"

namespace forebay::metrics {
namespace {

using core::FineHistogram;
using core::StatementCounts;

void add_counts(Object& object, const StatementCounts& counts) {
  object.number("calls", counts.calls)
      .number("errors", counts.errors)
      .number("rows", counts.rows)
      .number("received_bytes", counts.received_bytes)
      .number("sent_bytes", counts.sent_bytes)
      .seconds("total_seconds", counts.total())
      .seconds("wait_seconds", counts.wait)
      .seconds("server_seconds", counts.server)
      .seconds("transfer_seconds", counts.transfer)
      .number("replica_calls", counts.replica_calls)
      .number("pins", counts.pins)
      .seconds("p50_seconds", FineHistogram::quantile(counts.histogram, 0.50))
      .seconds("p95_seconds", FineHistogram::quantile(counts.histogram, 0.95))
      .seconds("p99_seconds", FineHistogram::quantile(counts.histogram, 0.99));
}

}  // namespace

std::string utc(Instant moment) {
  using std::chrono::system_clock;
  const auto ago =
      std::chrono::duration_cast<system_clock::duration>(std::chrono::steady_clock::now() - moment);
  const auto then = system_clock::now() - ago;
  const std::time_t whole = system_clock::to_time_t(then);
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(then - system_clock::from_time_t(whole))
          .count();
  std::tm parts{};
  gmtime_r(&whole, &parts);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + size, sizeof text - size, ".%03dZ",
                static_cast<int>(std::clamp<long>(ms, 0, 999)));
  return text;
}

void append(std::string& list, const std::string& element) {
  if (!list.empty()) list += ",\n";
  list += element;
}

std::string hexadecimal(std::uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    const auto c = static_cast<unsigned char>(text.front());
    if (size == 0) {
      out += "\\ufffd";
    } else if (c < 0x20 || c == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      out += escape;
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out.append(text.substr(0, size));
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out + '"';
}

std::string statements_json(const core::Shared& shared, std::string_view order, std::size_t limit) {
  auto by = core::StatementOrder::total_time;
  if (!order.empty() && !core::parse_order(order, by)) return {};
  core::StatementReport report = core::statement_report(shared);
  const std::size_t all = report.rows.size();
  core::order_rows(report.rows, by, limit);
  std::string rows;
  for (const core::StatementRow& row : report.rows) {
    Object object;
    object.text("shape", hexadecimal(row.shape))
        .text("database", row.database)
        .text("user", row.user)
        .text("text", row.text)
        .text("first_seen", utc(row.first_seen))
        .text("last_seen", utc(row.last_seen));
    add_counts(object, row.counts);
    append(rows, object.done());
  }
  Object other;
  add_counts(other, report.other);
  return Object()
             .number("statements_in_all", all)
             .raw("statements", "[" + rows + "]")
             .raw("other", other.done())
             .done() +
         "\n";
}

std::string sample_json(const core::SlowSample& sample) {
  Object object;
  object.text("time", utc(sample.ended))
      .text("database", sample.database)
      .text("user", sample.user)
      .text("tenant", sample.tenant)
      .text("client", sample.client)
      .text("application_name", sample.application_name)
      .text("host", sample.host)
      .number("server_pid", sample.server_process_id)
      .text("transaction", core::transaction_text(sample))
      .seconds("total_seconds", sample.time.total())
      .seconds("wait_seconds", sample.time.wait)
      .seconds("server_seconds", sample.time.server)
      .seconds("transfer_seconds", sample.time.transfer)
      .number("rows", sample.rows)
      .number("received_bytes", sample.received_bytes)
      .number("sent_bytes", sample.sent_bytes)
      .text("sqlstate", sample.sqlstate)
      .text("shape", sample.shape == 0 ? std::string() : hexadecimal(sample.shape))
      .text("traceparent", sample.traceparent)
      .text("text", sample.text)
      .text("parameters", sample.parameters)
      .text("plan", sample.plan)
      .text("no_plan", sample.no_plan);
  return object.done();
}

std::string audit_json(const core::AuditRecord& record) {
  constexpr std::array kNames = {
      std::pair(audit::Event::ddl, "ddl"),         std::pair(audit::Event::role, "role"),
      std::pair(audit::Event::table, "table"),     std::pair(audit::Event::unknown, "unknown"),
      std::pair(audit::Event::refused, "refused"), std::pair(audit::Event::reported, "reported"),
      std::pair(audit::Event::rule, "rule"),
  };
  std::string events;
  for (const auto& [event, name] : kNames) {
    if ((record.events & audit::bit(event)) == 0) continue;
    events += (events.empty() ? "" : ",") + json_string(name);
  }
  const core::SlowSample& statement = record.statement;
  const bool refused = (record.events & audit::bit(audit::Event::refused)) != 0;
  const bool reported = (record.events & audit::bit(audit::Event::reported)) != 0;
  const char* result = record.unanswered             ? "unanswered"
                       : refused                     ? "refused"
                       : reported                    ? "reported"
                       : !record.rule.empty()        ? "passed"
                       : !statement.sqlstate.empty() ? "error"
                                                     : "ok";
  Object object;
  object.text("time", utc(statement.ended))
      .raw("events", "[" + events + "]")
      .text("result", result)
      .text("sqlstate", statement.sqlstate)
      .text("database", statement.database)
      .text("user", statement.user)
      .text("tenant", statement.tenant)
      .text("client", statement.client)
      .text("application_name", statement.application_name)
      .text("host", statement.host)
      .number("server_pid", statement.server_process_id)
      .text("transaction", core::transaction_text(statement))
      .seconds("total_seconds", statement.time.total())
      .number("rows", statement.rows)
      .text("shape", statement.shape == 0 ? std::string() : hexadecimal(statement.shape))
      .text("traceparent", statement.traceparent)
      .text("rule", record.rule)
      .text("reason", record.reason)
      .text("text", statement.text);
  return object.done();
}

std::string slow_json(const core::Shared& shared, std::size_t limit) {
  std::string samples;
  for (const core::SlowSample& sample : core::slow_report(shared)) {
    if (limit-- == 0) break;
    append(samples, sample_json(sample));
  }
  return "{\"slow\":[" + samples + "]}\n";
}

}  // namespace forebay::metrics
