#include "forebay/config/environment.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace forebay::config {
namespace {

/// An open file, closed when it goes.
class File {
 public:
  // Without O_NONBLOCK, opening a FIFO that stands where a file should be would hang.
  explicit File(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), error_(errno) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
  [[nodiscard]] int error() const noexcept { return error_; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_;
  int error_;
};

std::string reason(int error) {
  return std::generic_category().message(error);
}

Error cannot_read(const std::string& path, std::string_view why) {
  return failure("cannot read \"" + path + "\": " + std::string(why));
}

/// A regular file that is open, and what the system says about it.
Result<struct stat> describe(const File& file, const std::string& path) {
  if (!file.is_open()) return cannot_read(path, reason(file.error()));
  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) return cannot_read(path, reason(errno));
  if (S_ISDIR(status.st_mode)) return cannot_read(path, "this is a directory");
  if (!S_ISREG(status.st_mode)) return cannot_read(path, "this is not a regular file");
  return status;
}

/// All of the file, at most `most` bytes.
Result<std::string> read_all(const File& file, const std::string& path, std::size_t most) {
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t count = ::read(file.descriptor(), part, sizeof part);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot_read(path, reason(errno));
    if (count == 0) return {boost::system::in_place_value, std::move(text)};
    if (text.size() + static_cast<std::size_t>(count) > most) {
      return cannot_read(path, "it is larger than " + std::to_string(most) + " bytes");
    }
    text.append(part, static_cast<std::size_t>(count));
  }
}

}  // namespace

std::optional<Secret> SystemEnvironment::variable(const std::string& name) const {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return Secret(value);
}

Result<Secret> SystemEnvironment::read_secret(const std::string& path) const {
  const File file(path);
  const Result<struct stat> status = describe(file, path);
  if (!status) return status.error();
  if ((status->st_mode & (S_IROTH | S_IWOTH)) != 0) {
    return failure("everybody on this machine may read or change \"" + path +
                   "\": take that away with chmod o-rwx");
  }
  Result<std::string> text = read_all(file, path, kMaxSecretBytes);
  if (!text) return text.error();
  return Secret(std::move(*text));
}

Result<std::string> SystemEnvironment::read_file(const std::string& path) const {
  const File file(path);
  const Result<struct stat> status = describe(file, path);
  if (!status) return status.error();
  return read_all(file, path, kMaxConfigBytes);
}

Result<void> SystemEnvironment::check_readable(const std::string& path) const {
  const File file(path);
  const Result<struct stat> status = describe(file, path);
  if (!status) return status.error();
  return {};
}

bool SystemEnvironment::is_directory(const std::string& path) const {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Result<std::vector<std::string>> SystemEnvironment::list_directory(const std::string& path) const {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator entry(path, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) return cannot_read(path, error.message());
  return {boost::system::in_place_value, std::move(names)};
}

}  // namespace forebay::config
