#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "fuzz/target.hpp"

/// Runs a fuzz target without libFuzzer: over every seed of its corpus, and over mutations of each
/// that are the same every time. Given files instead of a folder, it runs just those (for an input
/// that failed). The input that ends the program is left in replay-crash.
///
///   replay_<name> <folder | file...>        REPLAY_MUTATIONS=<how many of each seed>

// There under AddressSanitizer, which ends the program without SIGABRT.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*)());

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMutations = 3000;
constexpr std::size_t kSizeMax = 1 << 16;

// What is running now, for the note that a crash leaves.
std::string running_name;
std::string running_input;

void leave_note() {
  std::fprintf(stderr, "replay: input %s, left in replay-crash\n", running_name.c_str());
  if (std::FILE* file = std::fopen("replay-crash", "wb")) {
    std::fwrite(running_input.data(), 1, running_input.size(), file);
    std::fclose(file);
  }
}

void on_abort(int) {
  leave_note();
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

void run(const std::string& name, const std::string& input) {
  running_name = name;
  running_input = input;
  // A block of exactly its size, so that AddressSanitizer sees a read past the end.
  const auto block = std::make_unique<std::uint8_t[]>(input.size());
  std::copy(input.begin(), input.end(), block.get());
  if (LLVMFuzzerTestOneInput(block.get(), input.size()) != 0) std::abort();
}

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::cerr << "replay: cannot read " << path << '\n';
    std::exit(2);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

/// One small change of an input: the kinds that break parsers of lengths and texts.
class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string mutate(std::string input, const std::vector<std::string>& corpus) {
    for (std::size_t steps = 1 + below(4); steps > 0; --steps) change(input, corpus);
    if (input.size() > kSizeMax) input.resize(kSizeMax);
    return input;
  }

 private:
  std::size_t below(std::size_t end) { return end == 0 ? 0 : random_() % end; }

  void change(std::string& input, const std::vector<std::string>& corpus) {
    const std::size_t at = below(input.size() + 1);
    const std::size_t left = input.size() - at;
    switch (below(9)) {
      case 0:
        input.resize(at);
        break;
      case 1:
        input.erase(at, 1 + below(8));
        break;
      case 2:
        input.insert(at, 1 + below(8), any_byte());
        break;
      case 3:
        input.insert(at, input.substr(below(at + 1), below(64)));
        break;
      case 4:
        set_integer(input, at, 4);
        break;
      case 5:
        set_integer(input, at, 2);
        break;
      case 6: {
        const std::string& other = corpus[below(corpus.size())];
        input = input.substr(0, at) + other.substr(below(other.size() + 1));
        break;
      }
      case 7:
        if (left > 0) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      default:
        if (left > 0) input[at] = any_byte();
    }
  }

  char any_byte() {
    constexpr std::array<int, 8> kBytes = {0, 1, 4, 0x7f, 0x80, 0xff, '\\', ' '};
    const std::size_t choice = below(2 * kBytes.size());
    return static_cast<char>(choice < kBytes.size() ? kBytes[choice] : random_());
  }

  /// Writes an integer of `size` bytes where integers go wrong: near 0, the ends, what is left.
  void set_integer(std::string& input, std::size_t at, std::size_t size) {
    if (input.size() - at < size) return;
    const std::array<std::uint64_t, 6> bases = {0,          input.size(), input.size() - at,
                                                0x7fffffff, 0xffffffff,   0x3ffffffe};
    const std::uint64_t value = bases[below(bases.size())] + below(9) - 4;
    for (std::size_t i = 0; i < size; ++i) {
      input[at + i] = static_cast<char>(value >> (8 * (size - 1 - i)));
    }
  }

  std::mt19937_64 random_;
};

int run_corpus(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  for (const fs::path& path : paths) corpus.push_back(content_of(path));
  if (corpus.empty()) {
    std::cerr << "replay: no seeds in " << folder << '\n';
    return 2;
  }

  const char* wanted = std::getenv("REPLAY_MUTATIONS");
  const std::size_t mutations = wanted != nullptr ? std::stoul(wanted) : kMutations;
  run("empty", "");
  for (std::size_t i = 0; i < corpus.size(); ++i) run(paths[i].filename().string(), corpus[i]);
  for (std::size_t i = 0; i < corpus.size(); ++i) {
    for (std::size_t count = 0; count < mutations; ++count) {
      Mutator mutator(1000003 * i + count);
      run(paths[i].filename().string() + ", mutation " + std::to_string(count),
          mutator.mutate(corpus[i], corpus));
    }
  }
  std::cout << corpus.size() << " seeds, " << mutations << " mutations of each\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGABRT, on_abort);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(leave_note);
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " <folder | file...>\n";
    return 2;
  }
  if (fs::is_directory(argv[1])) return run_corpus(argv[1]);
  for (int i = 1; i < argc; ++i) run(argv[i], content_of(argv[i]));
  return 0;
}
