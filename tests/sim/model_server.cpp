#include "sim/model_server.hpp"

namespace forebay::test {

std::string mark_in(const std::string& text) {
  for (std::size_t at = text.find('c'); at != std::string::npos; at = text.find('c', at + 1)) {
    std::size_t end = at + 1;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    if (end > at + 1 && end < text.size() && text[end] == '-') return text.substr(at, end - at + 1);
  }
  return {};
}

std::string ModelServer::backend_message(std::string_view text) {
  return test::backend(text);
}

bool ModelServer::can_act() const {
  if (gone_) return false;
  const Channel& channel = end_.channel();
  return !channel.outbound.empty() || channel.ended || !pending_.empty() || working_ ||
         backend_->has_output() || backend_->sleeping() || (backend_->over() && !said_end_);
}

void ModelServer::act(Random& random) {
  Channel& channel = end_.channel();
  if (!channel.outbound.empty() && random.chance(80)) {
    const std::string bytes = end_.read(random.part_of(channel.outbound.size()));
    heard_ += bytes;
    backend_->receive(bytes);
  }
  if (backend_->sleeping() && random.chance(30)) backend_->wake();
  working_ = true;
  for (std::size_t left = random.part_of(8); left > 0 && working_; --left) {
    working_ = backend_->step();
    look_at_statements();
  }
  look_at_statements();
  const std::string said = backend_->take_output();
  said_ += said;
  pending_ += said;
  if (!pending_.empty() && random.chance(80)) {
    const std::size_t size = random.part_of(pending_.size());
    end_.send(pending_.substr(0, size));
    pending_.erase(0, size);
  }
  if (backend_->over() && pending_.empty() && !said_end_) {
    said_end_ = true;
    end_.close();
    gone_ = true;
  }
  // The other side is gone: what it sent is worked off first.
  if (channel.ended && channel.outbound.empty() && !working_ && !backend_->sleeping() &&
      pending_.empty()) {
    end_.close();
    gone_ = true;
  }
}

std::string ModelServer::take_talk() {
  std::string talk;
  for (;;) {
    const Words message = started_ ? take_frontend(heard_) : take_startup(heard_);
    if (message.empty()) break;
    started_ = started_ || message[0].text == "Startup";
    talk += " < " + to_string(message);
  }
  for (Words message = take_backend(said_); !message.empty(); message = take_backend(said_)) {
    talk += " > " + to_string(message);
  }
  return talk;
}

void ModelServer::look_at_statements() {
  for (; seen_ < backend_->executed().size(); ++seen_) {
    const std::string mark = mark_in(backend_->executed()[seen_]);
    if (mark.empty()) continue;
    if (!owner_.empty() && owner_ != mark) {
      violation_ = "server " + std::to_string(number_) + ": '" + backend_->executed()[seen_] +
                   "' in a transaction of " + owner_;
    }
    owner_ = mark;
  }
  if (!backend_->in_transaction()) owner_.clear();
}

void ModelServer::crash(bool reset) {
  if (reset) {
    end_.reset();
  } else {
    end_.close();
  }
  gone_ = true;
}

void ModelServer::shut_down() {
  backend_->shut_down();
}

}  // namespace forebay::test
