#include "fuzz/framer.hpp"

/// The stream of a server, after start-up, in pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return forebay::fuzz::frame(forebay::pg::Sender::server, forebay::fuzz::bytes_of(data, size));
}
