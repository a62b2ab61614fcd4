#include "sim/model_client.hpp"

#include "support/words.hpp"

namespace forebay::test {

using Then = Move::Then;

bool ModelClient::can_act() const {
  if (done_) return false;
  if (!end_.channel().outbound.empty() || end_.channel().ended || !outgoing_.empty()) return true;
  return may_go_on();
}

bool ModelClient::may_go_on() const {
  if (half_closed_) return false;
  if (then_ == Then::readies) return readies_ >= sent_asks_;
  if (then_ == Then::copy_in) return copy_answered_;
  return readies_ > 0;  // nothing before the greeting
}

std::string ModelClient::act(Random& random) {
  Channel& channel = end_.channel();
  if (!channel.outbound.empty() && random.chance(70)) {
    unread_ += end_.read(random.part_of(channel.outbound.size()));
    understand();
    return "reads";
  }
  if (channel.ended && channel.outbound.empty()) {
    done_ = true;
    end_.close();
    return channel.was_reset ? "sees a reset" : "sees the end";
  }
  if (!outgoing_.empty()) {
    const std::size_t size = random.part_of(outgoing_.size());
    end_.send(outgoing_.substr(0, size));
    sent_ += outgoing_.substr(0, size);
    outgoing_.erase(0, size);
    if (outgoing_.empty() && at_ > 0) after(program_.moves[at_ - 1]);
    return "sends " + std::to_string(size) + " bytes";
  }
  if (!may_go_on() || at_ >= program_.moves.size()) return {};
  next_move();
  return program_.moves[at_ - 1].what;
}

void ModelClient::next_move() {
  const Move& move = program_.moves[at_++];
  outgoing_ = move.bytes;
  sent_asks_ += move.asks;
  copy_answered_ = false;
  if (outgoing_.empty()) after(move);
}

// All of a move is sent.
void ModelClient::after(const Move& move) {
  then_ = move.then;
  switch (move.then) {
    case Then::cancel:
      wants_cancel_ = true;
      ++cancels_;
      return;
    case Then::half_close:
      half_closed_ = true;
      end_.end();
      return;
    case Then::reset:
      done_ = true;
      end_.reset();
      return;
    default:
      return;
  }
}

void ModelClient::understand() {
  if (first_byte_ && program_.startup.size() > 8 && program_.startup[3] == 8 && !unread_.empty()) {
    received_ += unread_.front();  // the answer to SSLRequest
    unread_.erase(0, 1);
  }
  if (!unread_.empty() || !received_.empty()) first_byte_ = false;
  for (;;) {
    const std::string before = unread_;
    const Words message = take_backend(unread_);
    if (message.empty()) return;
    received_ += before.substr(0, before.size() - unread_.size());
    const std::string& name = message[0].text;
    if (name == "ReadyForQuery") ++readies_;
    if (name == "CopyInResponse" || name == "ErrorResponse") copy_answered_ = true;
    if (name == "BackendKeyData") {
      process_id_ = static_cast<std::uint32_t>(std::stoul(message[1].text));
      key_ = message[2].text;
    }
  }
}

std::string ModelClient::state() const {
  return mark() + " at move " + std::to_string(at_) + " of " +
         std::to_string(program_.moves.size()) + ", " + std::to_string(readies_) + " of " +
         std::to_string(sent_asks_) + " ReadyForQuery";
}

}  // namespace forebay::test
