#include "sim/direct.hpp"

#include <algorithm>
#include <vector>

#include "sim/model_server.hpp"

namespace forebay::test {
namespace {

std::vector<Words> messages_of(std::string bytes) {
  std::vector<Words> all;
  for (Words message = take_backend(bytes); !message.empty(); message = take_backend(bytes)) {
    all.push_back(std::move(message));
  }
  return all;
}

bool is_cancelled(const Words& message) {
  return message.size() > 3 && message[0].text == "ErrorResponse" &&
         message[3].text == "canceling statement due to user request";
}

bool is_error(const Words& message, const char* sqlstate) {
  return message.size() > 2 && message[0].text == "ErrorResponse" && message[2].text == sqlstate;
}

// Something that a direct connection does not say: the server cannot be had, or was lost.
bool is_loss(const Words& message) {
  if (message.size() < 4 || message[0].text != "ErrorResponse") return false;
  const std::string& code = message[2].text;
  return code.starts_with("08") || code.starts_with("57P") ||
         message[3].text.starts_with("server connection lost: ");
}

// The greeting: the order of parameters is no promise, and the key is everybody's own. Behind it, a
// parameter may be told again (to see whether the client is there), and numbers of processes are
// the servers'.
std::vector<Words> normal(std::vector<Words> messages) {
  std::size_t greeting = 0;
  while (greeting < messages.size() && messages[greeting].at(0).text != "ReadyForQuery") ++greeting;
  const auto negotiates = [](const Words& message) {
    return message[0].text == "NegotiateProtocolVersion";
  };
  greeting -= std::erase_if(messages, negotiates);
  for (Words& message : messages) {
    if (message[0].text == "BackendKeyData") message.resize(1);
    if (message[0].text == "NotificationResponse") message.at(1).text = "*";
  }
  std::sort(messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(greeting),
            [](const Words& a, const Words& b) { return to_string(a) < to_string(b); });
  std::vector<Words> kept(messages.begin(),
                          messages.begin() + static_cast<std::ptrdiff_t>(greeting));
  for (std::size_t i = greeting; i < messages.size(); ++i) {
    const bool again =
        messages[i][0].text == "ParameterStatus" && messages[i].at(1).text == "in_hot_standby";
    if (!again) kept.push_back(std::move(messages[i]));
  }
  return kept;
}

// What the model server says to these bytes. Where it could be cancelled, it is if the client saw
// that.
std::vector<Words> direct(const std::string& sent, const FakeServerOptions& options,
                          const std::vector<Words>& seen) {
  FakePostgres postgres(options);
  const auto backend = postgres.connect();
  backend->receive(sent);
  std::string said;
  std::size_t cancels = 0;
  for (;;) {
    const bool stepped = backend->step();
    said += backend->take_everything();
    if (backend->sleeping() || backend->copying_in()) {
      const auto behind = normal(messages_of(said)).size();
      const bool cancelled = behind < seen.size() && is_cancelled(seen[behind]);
      if (cancelled) {
        backend->cancel();
        ++cancels;
        continue;
      }
      if (backend->sleeping()) {
        backend->wake();
        continue;
      }
    }
    if (!stepped) break;
  }
  said += backend->take_everything();
  return normal(messages_of(said));
}

// Between two transactions: the session is bound to a host that a reload has taken out.
bool is_goodbye(const std::vector<Words>& got, std::size_t index) {
  if (index >= got.size() || !is_error(got[index], "57P01")) return false;
  if (to_string(got[index]).find("the session is bound to its connection") == std::string::npos) {
    return false;
  }
  while (index > 0 && got[index - 1].at(0).text != "ReadyForQuery") --index;
  return index > 0 && got[index - 1].at(1).text == "I";
}

std::string at(const std::vector<Words>& messages, std::size_t index) {
  return index < messages.size() ? to_string(messages[index]) : "nothing more";
}

}  // namespace

std::string compare_with_direct(const ModelClient& client, const FakeServerOptions& options,
                                Allowances allowances) {
  std::string received = client.received();
  std::string sent = client.sent();
  if (!client.program().startup.empty() && client.program().startup[3] == 8) {
    sent.erase(0, std::min<std::size_t>(8, sent.size()));
    received.erase(0, std::min<std::size_t>(1, received.size()));
  }
  const std::vector<Words> got = normal(messages_of(received));
  for (const Words& message : got) {
    for (const Word& word : message) {
      const std::string mark = mark_in(word.text);
      if (!mark.empty() && mark != client.mark()) {
        return client.mark() + " got what is " + mark + "'s: " + to_string(message);
      }
    }
    if (is_cancelled(message) && client.cancels() == 0) {
      return client.mark() + " was cancelled and had not asked for it";
    }
  }
  const std::vector<Words> expected = direct(sent, options, got);
  // A client that broke off does not know how far it came, in the middle of the greeting above all.
  const std::size_t compared = std::max(got.size(), client.broke_off() ? 0 : expected.size());
  const bool greeted = std::any_of(got.begin(), got.end(), [](const Words& message) {
    return message[0].text == "ReadyForQuery";
  });
  if (!greeted && client.broke_off()) return {};
  for (std::size_t i = 0; i < compared; ++i) {
    if (i < got.size() && i < expected.size() && got[i] == expected[i]) continue;
    // A statement that waits for a link is cancelled before any server has it.
    if (i < got.size() && is_cancelled(got[i]) && client.cancels() > 0) return {};
    // In a failed transaction the Parse that we put ahead is refused before the client's own.
    if (i < got.size() && i < expected.size() && is_error(got[i], "25P02") &&
        is_error(expected[i], "42601")) {
      continue;
    }
    const std::string told = i < got.size() ? to_string(got[i]) : std::string();
    // The client is warned of that, sooner or later.
    const bool warned = told.find("listening connection was lost") != std::string::npos;
    const bool missed = i < expected.size() && expected[i].at(0).text == "NotificationResponse";
    if (allowances.listening_lost && (warned || missed)) return {};
    if (is_goodbye(got, i)) return {};
    const bool babble = told.find("babble") != std::string::npos;
    if (allowances.losses && babble) return {};
    if (allowances.losses && (i >= got.size() || is_loss(got[i]) || !greeted)) return {};
    return client.mark() + " got " + at(got, i) + " instead of " + at(expected, i) + " (message " +
           std::to_string(i + 1) + ")";
  }
  return {};
}

}  // namespace forebay::test
