#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "forebay/config/config.hpp"
#include "forebay/config/load.hpp"

namespace forebay::config {

/// What a changed value does when the configuration is reloaded. Every key says one.
enum class Effect : std::uint8_t {
  at_once,           ///< for everybody, with what they do next
  new_clients,       ///< who is connected keeps the old value
  new_servers,       ///< server connections that are open keep the old value
  replaces_servers,  ///< server connections that are open are closed as they become free
  gone_hosts,        ///< the same for those to hosts that are no longer listed
  ends_clients,      ///< clients are let go (57P01) as soon as no transaction of theirs is open
  restart,           ///< the old value holds until the next start
};

/// For whom and when, as a sentence without a capital and a full stop.
[[nodiscard]] std::string_view to_string(Effect effect);

/// One thing that two configurations have differently.
struct Change {
  std::string section;  ///< "pool", "databases.app", as in the file
  std::string key;      ///< empty: the whole section came or went
  std::string before;   ///< as TOML, "not set", or "hidden" for a secret
  std::string after;
  Effect effect;
  bool operator==(const Change&) const = default;
};

/// `[pool] default_pool_size: 20 -> 30 (at once)`
[[nodiscard]] std::string to_string(const Change& change);

/// Every difference, in the order of the sample; entries by name.
[[nodiscard]] std::vector<Change> difference(const Config& before, const Config& after);

/// Gives `after` the values of `before` for all keys that only a restart can change.
void keep_until_restart(const Config& before, Config& after);

/// Why another configuration was not applied.
enum class Refusal : std::uint8_t {
  wrong,    ///< it, or a value in it
  unknown,  ///< there is no such key
  fixed,    ///< the key needs a restart
};

/// What became of a reload, or of a SET.
struct Reloaded {
  bool applied = false;  ///< all of it, or nothing
  Refusal refusal = Refusal::wrong;
  std::vector<std::string> errors;  ///< why not: "forebay.toml:12:3: ..."
  std::vector<std::string> warnings;
  std::vector<Change> changes;
};

/// One key and what it stands at.
struct Setting {
  std::string section;
  std::string key;
  std::string value;      ///< as TOML, or "hidden" for a secret
  std::string otherwise;  ///< its default, likewise
  std::string source;     ///< "forebay.toml:12"; empty where no file says it
  Effect effect;          ///< of changing it
  std::string_view documentation;
  [[nodiscard]] bool changeable() const noexcept { return effect != Effect::restart; }
};

/// Every general key, and what the entries of [databases] and [users] say themselves.
[[nodiscard]] std::vector<Setting> describe(const Config& config, const Sources& sources);

}  // namespace forebay::config
