#include "core/engine/cancel_attempt.hpp"

#include "core/engine/engine.hpp"
#include "core/server/server_link.hpp"
#include "forebay/protocol/postgres/writer.hpp"

namespace forebay::core {

CancelAttempt::CancelAttempt(Engine& engine, ServerLink& link, std::unique_ptr<Stream> requester)
    : engine_(engine),
      link_(&link),
      host_(link.host()),
      tls_(link.tls()),
      requester_(std::move(requester)) {
  pg::write_cancel_request(request_, link.process_id(), link.cancel_key());
}

CancelAttempt::CancelAttempt(Engine& engine, Endpoint peer, std::string request,
                             std::unique_ptr<Stream> requester)
    : engine_(engine),
      forwards_(true),
      host_(std::move(peer)),
      request_(std::move(request)),
      requester_(std::move(requester)) {}

void CancelAttempt::begin() {
  if (requester_ != nullptr) engine_.io().attach(*requester_, requester_events_);
  engine_.timers().arm(timer_, engine_.now() + engine_.config().server_connect_timeout);
  stream_ = engine_.io().connect(host_, *this);
}

void CancelAttempt::on_connected() {
  if (tls_ == nullptr) {
    send_request();
    return;
  }
  std::string request;
  pg::write_ssl_request(request);
  send(request);
}

void CancelAttempt::on_received(Bytes bytes) {
  // Nothing is ever answered to a cancel request, and one byte to SSLRequest.
  if (sent_ || tls_ == nullptr || bytes != "S") {
    end(false);
    return;
  }
  stream_->start_tls_client(tls_, host_.host, false);
}

void CancelAttempt::on_secured() {
  send_request();
}

void CancelAttempt::on_writable() {}

void CancelAttempt::on_end() {
  end(sent_);
}

// Some servers end the connection with a reset: the request was read all the same, or never.
void CancelAttempt::on_lost(const std::string&) {
  end(sent_);
}

void CancelAttempt::send_request() {
  sent_ = true;
  send(request_);
}

// So few bytes always fit a fresh connection; if not, it is of no use.
void CancelAttempt::send(Bytes bytes) {
  if (stream_->send({&bytes, 1}) != bytes.size()) end(false);
}

void CancelAttempt::end(bool certain) {
  timer_.cancel();
  stream_.reset();
  requester_.reset();
  if (link_ != nullptr) std::exchange(link_, nullptr)->end_cancel(certain);
  engine_.cancel_ended(*this);
}

void CancelAttempt::on_timer(void* self) {
  static_cast<CancelAttempt*>(self)->end(false);
}

}  // namespace forebay::core
