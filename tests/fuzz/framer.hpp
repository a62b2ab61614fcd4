#pragma once

#include <algorithm>
#include <array>
#include <cstdio>

#include "forebay/base/assert.hpp"
#include "fuzz/target.hpp"
#include "unit/protocol/framer_reference.hpp"

namespace forebay::fuzz {

/// A framer against the plain reference. The first byte chooses the limit for whole messages, the
/// second says how many bytes follow that are the sizes of the pieces (again and again, less 1);
/// the stream is the rest.
inline int frame(pg::Sender sender, Bytes input) {
  if (input.size() < 2) return 0;
  constexpr std::array<std::size_t, 5> kLimits = {0, 64, pg::kHeadMin, 2000, 1 << 20};
  const std::size_t whole_max = kLimits[static_cast<unsigned char>(input[0]) % kLimits.size()];
  const std::size_t count = static_cast<unsigned char>(input[1]) % 16;
  const Bytes pieces = input.substr(2, count);
  const Bytes stream = input.substr(2 + pieces.size());

  test::FramerCheck check(sender, stream, whole_max);
  std::size_t received = 0;
  for (std::size_t i = 0; received < stream.size(); ++i) {
    const std::size_t piece =
        pieces.empty() ? stream.size()
                       : std::size_t{1} + static_cast<unsigned char>(pieces[i % pieces.size()]);
    received = std::min(stream.size(), received + piece);
    check.receive(received);
  }
  if (!check.complaint().empty()) std::fprintf(stderr, "%s", check.complaint().c_str());
  FB_ASSERT(check.complaint().empty());
  FB_ASSERT(check.taken() <= std::min(check.cuts().malformed_at, stream.size()));
  return 0;
}

}  // namespace forebay::fuzz
