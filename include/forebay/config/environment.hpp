#pragma once

#include <optional>
#include <string>
#include <vector>

#include "forebay/base/result.hpp"
#include "forebay/config/secret.hpp"

namespace forebay::config {

/// The few things that loading wants from the machine. Tests bring their own.
class Environment {
 public:
  virtual ~Environment() = default;

  /// The value of an environment variable, nothing if it is not set.
  [[nodiscard]] virtual std::optional<Secret> variable(const std::string& name) const = 0;

  /// The text of a file with a secret, as it stands there. An error if everybody may read the
  /// file. Errors name the file and the remedy, and never quote its text.
  [[nodiscard]] virtual Result<Secret> read_secret(const std::string& path) const = 0;

  /// The text of the configuration file.
  [[nodiscard]] virtual Result<std::string> read_file(const std::string& path) const = 0;

  /// Whether `path` is a file that this process may read; the error says why not.
  [[nodiscard]] virtual Result<void> check_readable(const std::string& path) const = 0;

  [[nodiscard]] virtual bool is_directory(const std::string& path) const = 0;

  /// The names of the files in a directory, in any order.
  [[nodiscard]] virtual Result<std::vector<std::string>> list_directory(
      const std::string& path) const = 0;
};

/// The real machine. Reads environment variables with getenv: load before threads change them.
class SystemEnvironment final : public Environment {
 public:
  [[nodiscard]] std::optional<Secret> variable(const std::string& name) const override;
  [[nodiscard]] Result<Secret> read_secret(const std::string& path) const override;
  [[nodiscard]] Result<std::string> read_file(const std::string& path) const override;
  [[nodiscard]] Result<void> check_readable(const std::string& path) const override;
  [[nodiscard]] bool is_directory(const std::string& path) const override;
  [[nodiscard]] Result<std::vector<std::string>> list_directory(
      const std::string& path) const override;
};

/// A file beyond these limits is refused, not read.
inline constexpr std::size_t kMaxConfigBytes = 16U << 20;
inline constexpr std::size_t kMaxSecretBytes = 64U << 10;

}  // namespace forebay::config
