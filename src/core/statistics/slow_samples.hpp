#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "core/statistics/statement_entry.hpp"

namespace forebay::core {

/// One statement that took long: all that somebody needs who wants to know why.
struct SlowSample {
  Instant ended{};
  std::uint64_t shape = 0;
  std::string text;  ///< without literals, unless the configuration wants them
  /// What was bound, in the extended protocol: as slow_query_parameters has it. Never audited.
  std::string parameters;
  std::string database;
  std::string user;
  std::string tenant;
  std::string client;  ///< its address and port
  std::string application_name;
  std::string host;
  std::uint32_t server_process_id = 0;  ///< PostgreSQL's, as in its log; 0: it came to none
  std::uint64_t transaction = 0;        ///< counted on that server connection; 0: of none
  std::string traceparent;              ///< of the W3C's trace context; empty without
  TimeSplit time;
  std::uint64_t rows = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;
  std::string sqlstate;  ///< empty: no error
  std::string plan;      ///< what EXPLAIN said of it afterwards; shows literals
  std::string no_plan;   ///< why nothing, where plans are wanted
  std::string said;      ///< what is to be explained: as the client sent it; not kept
};

/// "PID/NUMBER", the same for all statements of a transaction; empty: it came to no server.
std::string transaction_text(const SlowSample& sample);

/// The slow statements of one worker: so many, and of each shape so few that one which is always
/// slow does not push out the others. Added by the worker, read by any thread.
class SlowSamples {
 public:
  static constexpr std::size_t kMax = 200;
  static constexpr std::size_t kShapeMax = 5;
  /// So many wait to be written to a file.
  static constexpr std::size_t kUnwrittenMax = 1000;

  void add(SlowSample sample);
  /// Somebody takes them to a file.
  void keep_unwritten(bool keep) { keep_unwritten_ = keep; }

  void report(std::vector<SlowSample>& samples) const;
  /// Those since the last call. Gives how many more there were.
  std::uint64_t take_unwritten(std::vector<SlowSample>& samples);
  void reset();

 private:
  [[nodiscard]] std::size_t place_for(const SlowSample& sample) const;

  mutable std::mutex mutex_;
  std::vector<SlowSample> samples_;
  std::vector<SlowSample> unwritten_;
  std::uint64_t lost_ = 0;
  bool keep_unwritten_ = false;
};

}  // namespace forebay::core
