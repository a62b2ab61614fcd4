#pragma once

#include "forebay/base/counter.hpp"

namespace forebay::net {

/// What one reactor has asked of the system, in calls unless said, since it was made. May be read
/// by any thread; the figures of one moment need not fit each other.
struct alignas(64) ReactorCounters {
  Counter epoll_wait;
  Counter epoll_ctl;
  Counter recv;
  Counter recv_eagain;     ///< of `recv`, those that found nothing: there should be none
  Counter received_bytes;  ///< from the sockets, TLS records included
  Counter send;            ///< send and sendmsg
  Counter send_short;      ///< of `send`, those that took less than they were given
  Counter sent_bytes;
  Counter accept;      ///< accept4, the last one of each batch included, which found nobody
  Counter accepted;    ///< connections
  Counter connects;    ///< attempts, one for each address
  Counter handshakes;  ///< TLS, complete
  Counter mails;       ///< tasks from any thread that were done here
  Counter wake_ups;    ///< eventfd writes by those who posted to this reactor
  Counter turns;
};

}  // namespace forebay::net
