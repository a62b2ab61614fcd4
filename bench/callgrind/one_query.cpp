#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "support/rig.hpp"
#include "support/words.hpp"
#include "support/world.hpp"

/// A number of equal transactions between strings, for a tool that counts instructions: what a
/// longer run executes more is theirs.
int main(int argc, char** argv) {
  using namespace forebay;
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: bench_one_query simple|prepared|pipeline COUNT [SHAPES]\n");
    return 2;
  }
  const std::string what = argv[1];
  config::Config config = test::plain_config();
  if (argc == 4) config.statement_statistics = static_cast<std::uint32_t>(std::atoi(argv[3]));
  test::Rig rig(std::move(config), 1);
  std::string request = test::frontend(R"(Query "select balance from accounts where id = 1")");
  std::string reply = test::backend(
      R"(RowDescription "c" ; DataRow "1" ; CommandComplete "SELECT 1" ; ReadyForQuery I)");
  if (what != "simple") {
    rig.exchange(0, test::frontend(R"(Parse "s" "select $1" ; Sync)"),
                 test::backend("ParseComplete ; ReadyForQuery I"));
    request = test::frontend(R"(Bind "" "s" "1" ; Execute "" 0 ; Sync)");
    reply = test::backend(
        R"(BindComplete ; DataRow "1" ; CommandComplete "SELECT 1" ; ReadyForQuery I)");
  }
  if (what == "pipeline") {
    const std::string one_request = request;
    const std::string one_reply = reply;
    for (int more = 1; more < 100; ++more) {
      request += one_request;
      reply += one_reply;
    }
  }
  for (int left = std::atoi(argv[2]); left > 0; --left) rig.exchange(0, request, reply);
}
