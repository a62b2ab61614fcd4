#include "app/http_pages.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <fstream>
#include <string>
#include <utility>

#include "metrics/json.hpp"

namespace forebay::app {
namespace {

constexpr const char* kJson = "application/json; charset=utf-8";
/// So many rows, unless the client says how many.
constexpr std::size_t kRows = 50;

std::size_t limit_of(std::string_view query) {
  const std::string_view digits = query_parameter(query, "limit");
  std::size_t limit = kRows;
  std::from_chars(digits.data(), digits.data() + digits.size(), limit);
  return limit;
}

}  // namespace

std::string_view query_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) {
      return pair.substr(name.size() + 1);
    }
  }
  return {};
}

Result<config::Secret> read_http_token(const std::string& file) {
  std::string token;
  if (file.empty()) return config::Secret(std::move(token));
  std::ifstream in(file);
  std::getline(in, token);
  if (token.empty()) {
    return failure("http_token_file: \"" + file +
                   "\" cannot be read, or its first line is empty; it has to hold the token");
  }
  return config::Secret(std::move(token));
}

std::optional<HttpPage> page_of(core::Shared& shared, const metrics::Process& process,
                                std::string_view path, std::string_view query,
                                std::string_view accepted) {
  if (path == "/") return status_page();
  if (path == "/metrics") {
    if (accepted.find("application/openmetrics-text") != std::string_view::npos) {
      return HttpPage{"application/openmetrics-text; version=1.0.0; charset=utf-8",
                      metrics::render(shared, process, metrics::Format::open_metrics)};
    }
    return HttpPage{"text/plain; version=0.0.4; charset=utf-8", metrics::render(shared, process)};
  }
  if (path == "/pools") return HttpPage{kJson, metrics::pools_json(shared, process)};
  if (path == "/hosts") return HttpPage{kJson, metrics::hosts_json(shared, process)};
  if (path == "/slow") return HttpPage{kJson, metrics::slow_json(shared, limit_of(query))};
  if (path == "/statements") {
    std::string body =
        metrics::statements_json(shared, query_parameter(query, "order"), limit_of(query));
    if (!body.empty()) return HttpPage{kJson, std::move(body)};
  }
  return std::nullopt;
}

}  // namespace forebay::app
