#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

namespace forebay::net {

// The calls of each transaction. Those of libc are points where a thread may be cancelled
// (pthreads(7)), for which it takes two locked instructions a call as soon as a process has several
// threads. Nobody cancels threads here. Sanitizers look at libc's.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(SYS_recvfrom) || \
    !defined(SYS_sendto) || !defined(SYS_sendmsg) || !defined(SYS_epoll_pwait)

/// recv(2), send(2), sendmsg(2) and epoll_wait(2): the same arguments, results and errno.
inline ssize_t receive(int socket, void* into, std::size_t size, int flags) noexcept {
  return ::recv(socket, into, size, flags);
}
inline ssize_t send_on(int socket, const void* from, std::size_t size, int flags) noexcept {
  return ::send(socket, from, size, flags);
}
inline ssize_t send_message(int socket, const msghdr& message, int flags) noexcept {
  return ::sendmsg(socket, &message, flags);
}
inline int wait_for_events(int epoll, epoll_event* events, int size, int timeout) noexcept {
  return ::epoll_wait(epoll, events, size, timeout);
}

#else

inline ssize_t receive(int socket, void* into, std::size_t size, int flags) noexcept {
  return ::syscall(SYS_recvfrom, socket, into, size, flags, nullptr, nullptr);
}
inline ssize_t send_on(int socket, const void* from, std::size_t size, int flags) noexcept {
  return ::syscall(SYS_sendto, socket, from, size, flags, nullptr, 0);
}
inline ssize_t send_message(int socket, const msghdr& message, int flags) noexcept {
  return ::syscall(SYS_sendmsg, socket, &message, flags);
}
inline int wait_for_events(int epoll, epoll_event* events, int size, int timeout) noexcept {
  return static_cast<int>(::syscall(SYS_epoll_pwait, epoll, events, size, timeout, nullptr, 0));
}

#endif

}  // namespace forebay::net
