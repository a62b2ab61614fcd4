#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scripted/responder.hpp"
#include "scripted/script.hpp"
#include "support/world.hpp"

namespace forebay::test {

/// How the bytes of a script travel.
struct Way {
  std::size_t most = SIZE_MAX;    ///< so many bytes arrive at a time
  std::size_t window = SIZE_MAX;  ///< so many bytes are on their way from the core at most
  std::size_t cut = 0;            ///< what is said is cut here, and the rest comes later; 0: not
  std::size_t workers = 1;        ///< clients come in at one after the other
};

/// What goes wrong before a step of the script.
struct Failure {
  enum class Kind : std::uint8_t {
    reset,
    end,
    half,  ///< the step's peer says half of what it was to say, then resets
  };
  std::size_t step = 0;
  std::string peer;
  Kind kind = Kind::reset;
};

/// Plays a script on the core once. Without a failure everything must be as it is written, to the
/// byte. With one, the script goes on as far as it can: whoever gets something else than is written
/// leaves the script, and what it gets must make sense by itself. In both cases nothing may be left
/// at the end, and a client that comes then must be served.
class Stage {
 public:
  Stage(const Script& script, Way way, std::optional<Failure> failure = std::nullopt);

  /// Empty, or what went wrong.
  std::string play();
  /// Whether the failure could happen at all.
  [[nodiscard]] bool failed_as_told() const noexcept { return injected_; }

 private:
  struct Peer {
    std::string name;
    bool server = false;
    bool in_script = false;  ///< a server that the script speaks of
    FarEnd end;
    std::string received;     ///< and not yet expected
    bool off_script = false;  ///< what it says and gets is not what is written any more
    bool ended = false;       ///< says nothing any more
    bool vanished = false;    ///< reset by the script or a failure
    std::unique_ptr<Responder> responder;  ///< of servers
    std::uint32_t process_id = 0;          ///< of clients: what they were told
    std::string key;
    std::set<std::string> texts;  ///< of clients: every text that they sent
    std::size_t questions = 0;    ///< messages that ReadyForQuery answers
    std::size_t readies = 0;
    bool copied = false;  ///< a COPY may have swallowed a Sync
  };

  void play_step(const Step& step, std::size_t index);
  std::size_t clients_waiting();
  void on_login(const Step& step);
  void on_send(const Step& step);
  void say(Peer& peer, const Words& message, std::string& bytes);
  void on_receive(const Step& step);
  std::string take(Peer& peer, const Words& expected);
  std::string take_exactly(Peer& peer, const std::string& bytes);
  void note_received(Peer& peer, const Words& message);
  void inject();
  void go_off_script(Peer& peer, const std::string& why);

  void finish();
  void check_client(Peer& peer);
  void check_next_client();

  // The world.
  Peer& client(const std::string& name);
  Peer* find(const std::string& name);
  void settle();
  bool deliver();
  bool servers();
  bool read();
  void pass(Duration duration);
  static std::string encode(const Peer& peer, const Words& message);

  [[noreturn]] void wrong(const std::string& what) const;

  const Script& script_;
  const std::vector<std::string> named_;  ///< in the script
  const Way way_;
  const std::optional<Failure> failure_;
  World world_;
  std::deque<Peer> peers_;
  std::size_t clients_ = 0;
  std::size_t servers_ = 0;
  std::size_t line_ = 0;
  bool injected_ = false;
  bool over_ = false;  ///< the script is: every server answers by itself
};

}  // namespace forebay::test
