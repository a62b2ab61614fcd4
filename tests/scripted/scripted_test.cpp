#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "scripted/stage.hpp"

// Every .wire file of this folder, in every way.
namespace forebay::test {
namespace {

std::vector<std::string> names() {
  std::set<std::string> sorted;
  for (const auto& entry : std::filesystem::directory_iterator(FOREBAY_SCRIPTS)) {
    if (entry.path().extension() == ".wire") sorted.insert(entry.path().stem().string());
  }
  return {sorted.begin(), sorted.end()};
}

Script script_of(const std::string& name) {
  return read_script(std::filesystem::path(FOREBAY_SCRIPTS) / (name + ".wire"));
}

class Scripted : public testing::TestWithParam<std::string> {
 protected:
  const Script script_ = script_of(GetParam());
};

TEST_P(Scripted, AsWritten) {
  EXPECT_EQ(Stage(script_, Way{}).play(), "");
}

TEST_P(Scripted, ByteByByte) {
  if (script_.whole_only) return;
  EXPECT_EQ(Stage(script_, Way{.most = 1}).play(), "");
  EXPECT_EQ(Stage(script_, Way{.window = 1}).play(), "") << "slow readers";
  EXPECT_EQ(Stage(script_, Way{.most = 1, .window = 1}).play(), "") << "slow readers";
}

TEST_P(Scripted, CutAtEveryByte) {
  if (script_.whole_only) return;
  std::size_t longest = 0;
  for (const Step& step : script_.steps) {
    if (step.kind != Step::Kind::send) continue;
    std::size_t size = 0;
    for (const Words& message : step.messages) {
      const std::string& name = message[0].text;
      if (name == "end" || name == "reset") continue;
      // The length is all that matters; a CancelRequest by a client's name has some other.
      if (name == "CancelRequest") {
        size += 20;
      } else {
        size +=
            is_server(step.peer) ? encode_backend(message).size() : encode_startup(message).size();
      }
    }
    longest = std::max(longest, size);
  }
  for (std::size_t cut = 1; cut < longest; ++cut) {
    ASSERT_EQ(Stage(script_, Way{.cut = cut}).play(), "") << "cut behind " << cut << " bytes";
  }
}

TEST_P(Scripted, ThreeWorkers) {
  EXPECT_EQ(Stage(script_, Way{.workers = 3}).play(), "");
}

TEST_P(Scripted, FailsAtEveryStep) {
  constexpr std::pair<Failure::Kind, const char*> kKinds[] = {
      {Failure::Kind::reset, "reset"}, {Failure::Kind::end, "end"}, {Failure::Kind::half, "half"}};
  const std::pair<const char*, Way> kWays[] = {
      {"in one piece", {}}, {"byte by byte", {.most = 1}}, {"slow readers", {.window = 1}}};
  for (std::size_t step = 0; step < script_.steps.size(); ++step) {
    for (const std::string& peer : script_.peers()) {
      for (const auto& [kind, name] : kKinds) {
        if (kind == Failure::Kind::half &&
            (script_.steps[step].kind != Step::Kind::send || script_.steps[step].peer != peer)) {
          continue;
        }
        for (const auto& [how, way] : kWays) {
          if (script_.whole_only && way.most != SIZE_MAX) continue;
          const Failure failure{step, peer, kind};
          ASSERT_EQ(Stage(script_, way, failure).play(), "")
              << name << " of " << peer << " before line " << script_.steps[step].line << ", "
              << how;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Wire, Scripted, testing::ValuesIn(names()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace forebay::test
