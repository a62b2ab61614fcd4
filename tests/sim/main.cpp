#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "sim/simulation.hpp"

// sim --seed N | --seeds A..B | --random COUNT [--log] [--keep-going]
// A run that ends the program is known by its seed, too.
extern "C" const char* __asan_default_options() {
  return "abort_on_error=1";
}
extern "C" const char* __ubsan_default_options() {
  return "abort_on_error=1:print_stacktrace=1";
}

namespace forebay::test {
namespace {

std::string at_work;

extern "C" void on_abort(int) {
  static_cast<void>(!::write(STDOUT_FILENO, at_work.data(), at_work.size()));
  std::_Exit(134);
}

struct Options {
  std::vector<std::uint64_t> seeds;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  bool log = false;
  bool keep_going = false;
};

[[noreturn]] void usage() {
  std::cerr << "usage: sim --seed N | --seeds A..B [--random COUNT] [--log] [--keep-going]\n";
  std::exit(2);
}

Options read(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    const std::string value = i + 1 < count ? arguments[i + 1] : "";
    if (name == "--log") {
      options.log = true;
    } else if (name == "--keep-going") {
      options.keep_going = true;
    } else if (value.empty()) {
      usage();
    } else if (name == "--seed") {
      options.seeds.push_back(std::stoull(value));
      ++i;
    } else if (name == "--random") {
      std::random_device device;
      for (std::size_t left = std::stoul(value); left > 0; --left)
        options.seeds.push_back(device());
      ++i;
    } else if (name == "--seeds" && value.find("..") != std::string::npos) {
      options.first = std::stoull(value);
      options.last = std::stoull(value.substr(value.find("..") + 2));
      ++i;
    } else {
      usage();
    }
  }
  for (std::uint64_t seed = options.first; options.last > 0 && seed <= options.last; ++seed) {
    options.seeds.push_back(seed);
  }
  if (options.seeds.empty()) usage();
  return options;
}

bool run(std::uint64_t seed, bool log) {
  at_work = "seed " + std::to_string(seed) + " ended the program\n";
  Simulation simulation(seed, log ? &std::cout : nullptr);
  const std::string trouble = simulation.run();
  if (trouble.empty()) return true;
  std::cout << "seed " << seed << " FAILED: " << trouble << '\n'
            << "  " << simulation.plan().text() << '\n';
  std::cout.flush();
  return false;
}

}  // namespace
}  // namespace forebay::test

int main(int count, char** arguments) {
  using namespace forebay::test;
  std::signal(SIGABRT, on_abort);
  const Options options = read(count, arguments);
  std::size_t failed = 0;
  for (const std::uint64_t seed : options.seeds) {
    if (run(seed, options.log)) continue;
    ++failed;
    if (!options.keep_going) {
      // Once more, with its log: a seed gives the same run each time.
      if (!options.log) run(seed, true);
      break;
    }
  }
  std::cout << options.seeds.size() << " seeds, " << failed << " failed\n";
  return failed == 0 ? 0 : 1;
}
