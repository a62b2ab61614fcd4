#include "fuzz/framer.hpp"

/// The stream of a client, after start-up, in pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return forebay::fuzz::frame(forebay::pg::Sender::client, forebay::fuzz::bytes_of(data, size));
}
