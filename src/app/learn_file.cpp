#include "app/learn_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/engine/journal.hpp"
#include "forebay/net/descriptor.hpp"

namespace forebay::app {
namespace {

/// Kinds that a tenant may be kept from without breaking what every session needs.
constexpr std::array<std::string_view, 20> kClosed = {"select",
                                                      "declare_cursor",
                                                      "insert",
                                                      "update",
                                                      "delete",
                                                      "merge",
                                                      "copy_in",
                                                      "copy_out",
                                                      "create_table_as",
                                                      "utility",
                                                      "ddl",
                                                      "listen",
                                                      "notify",
                                                      "lock",
                                                      "load",
                                                      "do",
                                                      "call",
                                                      "prepare_transaction",
                                                      "commit_prepared",
                                                      "rollback_prepared"};
/// The list of a rule is no list when it is empty: nothing has this name.
constexpr const char* kNone = "(none was seen)";

constexpr const char* kPreface =
    "# What tenants were seen to do, as rules that close everything else: learn and learn_file in\n"
    "# [tenants]. Written anew when something new is seen. Read it, copy it, take dry_run away\n"
    "# where a rule is right, and name the copy in `include` of the configuration. SHOW RULES\n"
    "# counts what a rule with dry_run would have refused.\n";

std::vector<std::string> listed(const std::set<std::string>& names) {
  if (names.empty()) return {kNone};
  return {names.begin(), names.end()};
}

std::vector<std::string> kinds_besides(std::uint64_t seen) {
  std::vector<std::string> kinds;
  for (const std::string_view kind : kClosed) {
    std::size_t number = 1;  // behind `unknown`
    for (const std::string_view each : config::kStatementKinds) {
      if (each == kind && (seen >> number & 1) == 0) kinds.emplace_back(kind);
      ++number;
    }
  }
  return kinds;
}

std::string told(const std::string& tenant, const core::Learned& learned) {
  std::string text = "\n# " + (tenant == "*" ? "All together" : tenant) + ": " +
                     std::to_string(learned.tables.size()) + " tables, " +
                     std::to_string(learned.functions.size()) + " functions.";
  if (learned.unknown) {
    text +=
        " Some statements could not\n# be looked at; rules with an error refuse such, unless they "
        "say unknown = false.";
  }
  if (learned.unwritable)
    text += " Names\n# with a dot in them, and those that are not UTF-8, are left out.";
  if (learned.full) text += " There\n# were more names than are kept.";
  return text + "\n";
}

// Whole, or as it was.
bool replace_file(const std::string& name, std::string_view text) {
  const std::string made = name + ".new." + std::to_string(::getpid());
  {
    const net::Descriptor file(
        ::open(made.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return false;
    while (!text.empty()) {
      const ssize_t written = ::write(file.get(), text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::fsync(file.get()) != 0) return false;
  }
  return std::rename(made.c_str(), name.c_str()) == 0;
}

}  // namespace

std::vector<config::Rule> learned_rules(const std::string& tenant, const core::Learned& learned,
                                        const config::TenantSettings& settings) {
  config::Rule base{.dry_run = true};
  if (tenant != "*") base.tenants = {tenant};
  if (settings.databases != std::vector<std::string>{"*"}) base.databases = settings.databases;
  const std::string who = tenant == "*" ? "tenants" : "tenant " + tenant;
  std::vector<config::Rule> rules;
  const auto add = [&](const std::string& what, const std::string& error) -> config::Rule& {
    config::Rule& rule = rules.emplace_back(base);
    rule.name = "learned " + what + " of " + who;
    rule.error = who + " may not " + error;
    return rule;
  };
  add("tables", "use this table").other_tables = listed(learned.tables);
  add("functions", "call this function").other_functions = listed(learned.functions);
  if (auto kinds = kinds_besides(learned.kinds); !kinds.empty()) {
    add("kinds", "run this kind of statement").kinds = std::move(kinds);
  }
  return rules;
}

void LearnFile::write(const core::TenantLearnings& learnings,
                      const config::TenantSettings& settings, core::Journal& journal) {
  const std::uint64_t changes = learnings.changes();
  if (changes == written_) return;
  if (!std::exchange(begun_, true)) {
    // What an earlier process has learned is kept: there is no such name yet.
    const std::string kept = settings.learn_file + "." + std::to_string(std::time(nullptr));
    std::rename(settings.learn_file.c_str(), kept.c_str());
  }
  std::string text = kPreface;
  for (const auto& [tenant, learned] : learnings.all()) {
    text += told(tenant, learned);
    for (const config::Rule& rule : learned_rules(tenant, learned, settings)) {
      text += config::toml_of(rule) + "\n";
    }
  }
  if (replace_file(settings.learn_file, text)) {
    written_ = changes;
    failed_ = false;
    return;
  }
  ++failures_;
  if (std::exchange(failed_, true)) return;
  journal.note({.weight = core::Weight::error,
                .event = "learn_file",
                .text = "cannot write learn_file \"" + settings.learn_file +
                        "\": " + std::generic_category().message(errno)});
}

}  // namespace forebay::app
