#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "admin/averages.hpp"
#include "admin/command.hpp"
#include "admin/show.hpp"
#include "core/console/console.hpp"
#include "core/engine/timer_wheel.hpp"

namespace forebay::admin {

/// One client of the console: its protocol, simple and extended, and the command at hand. A command
/// may have to wait for the workers or for links to be free; what the client says meanwhile waits.
class ConsoleSession final : public core::Console {
 public:
  ConsoleSession(core::Engine& engine, const Averages& averages, core::Consoles::Setup setup);
  ~ConsoleSession() override;

  void begin() override;
  void reported(std::shared_ptr<const core::WorkerReport> report) override;
  void answered(const core::ControlAnswer& answer) override;

  void on_received(Bytes bytes) override;
  void on_writable() override;
  void on_end() override { close(); }
  void on_lost(const std::string&) override { close(); }

 private:
  struct Portal {
    Command command;
    std::vector<std::uint16_t> formats;
    std::optional<Rows> rows;  ///< once it was executed
    std::size_t sent = 0;
    std::uint32_t max_rows = 0;
  };
  enum class Waiting : std::uint8_t { no, workers, timer, control };

  // The protocol (console_protocol.cpp).
  void greet();
  void advance();
  bool next_message();
  void handle(char type, Bytes body);
  void on_query(Bytes body);
  void on_parse(Bytes body);
  void on_bind(Bytes body);
  void on_describe(Bytes body);
  void on_execute(Bytes body);
  void on_close(Bytes body);
  void describe(const Command& command, std::span<const std::uint16_t> formats);
  [[nodiscard]] static std::optional<std::vector<std::uint16_t>> result_formats(Bytes values);
  void failed_in_batch(const core::Refused& reason);
  void send_rows();
  void ready();
  void protocol_error();
  void flush();
  void fatal(const core::Refused& reason);
  void close();

  // The command at hand (console_session.cpp).
  [[nodiscard]] Role role() const;
  [[nodiscard]] core::Refused not_for_user() const;
  void start(const Command& command);
  void explain_route(std::string_view text);
  void act(const Command& command);
  void show();
  void order_host(const Command& command);
  void pause(const std::string& database);
  void resume(const std::string& database);
  void order_tenant(const Command& command);
  void suspend();
  void suspended();
  void give_up_suspension();
  void take_back();
  void set(const Command& command);
  void request(core::ControlRequest request);
  void reload();
  [[nodiscard]] std::function<void(const config::Reloaded&)> answer_to_this() const;
  void order(core::Order order);
  void wait(config::milliseconds delay);
  void look_again();
  void on_reports();
  [[nodiscard]] bool links_free(const std::string& database) const;
  [[nodiscard]] bool known(const std::string& database);
  void done(std::string_view tag);
  void done_with(Rows rows);
  void failed(const core::Refused& reason);
  static void on_timer(void* self);

  core::Engine& engine_;
  const Averages& averages_;
  std::unique_ptr<core::Stream> stream_;
  const core::StartupFacts facts_;
  const bool server_decided_;
  const bool superuser_;
  std::string input_;
  std::string out_;

  std::deque<Command> queue_;  ///< of a Query
  std::map<std::string, Command, std::less<>> statements_;
  std::map<std::string, Portal, std::less<>> portals_;
  Portal* portal_ = nullptr;  ///< that the command at hand belongs to; null: to a Query
  Command current_;
  Waiting waiting_ = Waiting::no;
  std::vector<std::shared_ptr<const core::WorkerReport>> reports_;
  std::size_t reports_due_ = 0;
  Instant give_up_at_ = kNever;  ///< SUSPEND
  std::size_t unanswered_ = 0;   ///< clients for whose sake it was given up
  core::Timer timer_{&ConsoleSession::on_timer, this};
  pg::backend::TransactionStatus status_ = pg::backend::TransactionStatus::idle;
  bool skip_to_sync_ = false;
  bool closed_ = false;
};

}  // namespace forebay::admin
