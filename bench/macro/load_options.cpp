#include "bench/macro/load_options.hpp"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>

namespace forebay::bench {

LoadOptions parse_load_options(int argc, char** argv) {
  LoadOptions options;
  const std::map<std::string, std::function<void(const char*)>> valued = {
      {"--port", [&](const char* v) { options.port = static_cast<std::uint16_t>(std::atoi(v)); }},
      {"--clients", [&](const char* v) { options.clients = std::atoi(v); }},
      {"--idle", [&](const char* v) { options.idle = std::atoi(v); }},
      {"--pipeline", [&](const char* v) { options.pipeline = std::atoi(v); }},
      {"--seconds", [&](const char* v) { options.seconds = std::atof(v); }},
      {"--warmup", [&](const char* v) { options.warmup = std::atof(v); }},
      {"--mode", [&](const char* v) { options.mode = v; }},
      {"--query", [&](const char* v) { options.query = v; }},
      {"--password", [&](const char* v) { options.password = v; }},
      {"--watch", [&](const char* v) { options.watch = std::atoi(v); }},
  };
  const std::map<std::string, bool*> switches = {
      {"--churn", &options.churn}, {"--tls", &options.tls}, {"--wait", &options.wait}};
  for (int i = 1; i < argc; ++i) {
    if (const auto flag = switches.find(argv[i]); flag != switches.end()) {
      *flag->second = true;
      continue;
    }
    const auto option = valued.find(argv[i]);
    if (option == valued.end() || i + 1 == argc) {
      std::fprintf(stderr, "bench_load: \"%s\" is no option; there are", argv[i]);
      for (const auto& [name, set] : valued) std::fprintf(stderr, " %s N", name.c_str());
      for (const auto& [name, set] : switches) std::fprintf(stderr, " %s", name.c_str());
      std::fprintf(stderr, "\n");
      std::exit(2);
    }
    option->second(argv[++i]);
  }
  return options;
}

}  // namespace forebay::bench
