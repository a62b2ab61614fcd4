#include "config/secret_form.hpp"
#include "config/types.hpp"

namespace forebay::config {
namespace {

std::string_view form(SecretSource source) {
  switch (source) {
    case SecretSource::here:
      return "a password as a string";
    case SecretSource::variable:
      return "the name of an environment variable such as \"APP_PASSWORD\"";
    case SecretSource::file:
      break;
  }
  return "the path of a file such as \"/etc/forebay/app.password\"";
}

/// The one line break that editors and `echo` leave at the end.
std::string_view without_line_break(std::string_view text) {
  const std::size_t size = text.ends_with("\r\n") ? 2 : text.ends_with('\n') ? 1 : 0;
  return text.substr(0, text.size() - size);
}

bool is_variable_name(std::string_view text) {
  return text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string_view::npos;
}

bool is_explicit_path(std::string_view text) {
  return text.starts_with('/') || text.starts_with("./") || text.starts_with("../");
}

/// Whether `text` is a name at all. Somebody may have put the password itself where its name
/// belongs, so what does not look like a name is never looked up, nor quoted.
std::optional<std::string> refuse_name(SecretSource source, std::string_view text) {
  if (source == SecretSource::variable && !is_variable_name(text)) {
    return "but this has other characters than A-Z, 0-9 and _";
  }
  if (source == SecretSource::file && !is_explicit_path(text)) {
    return "but this does not begin with \"/\", \"./\" or \"../\"";
  }
  return std::nullopt;
}

/// The secret that `text` is or names. Complaints may quote `text` only where it is a name.
std::optional<Secret> fetch(SecretSource source, const std::string& text, Position at,
                            Reading& reading) {
  switch (source) {
    case SecretSource::here:
      return Secret(text);
    case SecretSource::variable: {
      auto secret = reading.environment().variable(text);
      if (!secret) {
        reading.refuse(at, "the environment variable " + quoted(text) + " is not set");
      }
      return secret;
    }
    case SecretSource::file:
      break;
  }
  const Result<Secret> secret = reading.environment().read_secret(text);
  if (!secret) {
    reading.refuse(at, secret.error().message);
    return std::nullopt;
  }
  return Secret(std::string(without_line_break(secret->reveal())));
}

std::optional<Secret> read_secret(SecretSource source, const Value& value, Reading& reading) {
  const auto* text = value.as<std::string>();
  if (text == nullptr) {
    reading.expected(value, form(source));
    return std::nullopt;
  }
  if (text->empty() && source != SecretSource::here) {
    reading.refuse(value.at, "expected " + std::string(form(source)) + ", but this is empty");
    return std::nullopt;
  }
  if (const auto why = refuse_name(source, *text)) {
    reading.refuse(value.at, "expected " + std::string(form(source)) + ", " + *why);
    return std::nullopt;
  }
  auto secret = fetch(source, *text, value.at, reading);
  if (!secret) return std::nullopt;
  if (auto why = refuse_secret(secret->reveal())) {
    if (source != SecretSource::here) *why += " (from " + quoted(*text) + ")";
    reading.refuse(value.at, *why);
    return std::nullopt;
  }
  return secret;
}

}  // namespace

std::optional<Secret> OneSecret::read(const Value& value, Reading& reading) const {
  const auto* text = value.as<std::string>();
  if (text != nullptr && text->empty()) return Secret();
  auto secret = read_secret(source, value, reading);
  if (secret && secret_form(secret->reveal()) == SecretForm::scram_sha_256) {
    reading.refuse(value.at,
                   "nobody can log in to a server with a SCRAM verifier; give the password itself");
    return std::nullopt;
  }
  return secret;
}

std::optional<SeveralSecrets::Held> SeveralSecrets::read(const Value& value,
                                                         Reading& reading) const {
  const Array* elements = value.as<Array>();
  if (elements == nullptr) {
    auto secret = read_secret(source, value, reading);
    if (!secret) return std::nullopt;
    Held one;
    one.push_back(std::move(*secret));
    return one;
  }
  bool good = true;
  Held secrets;
  for (const Value& element : *elements) {
    auto secret = read_secret(source, element, reading);
    good = good && secret.has_value();
    if (secret) secrets.push_back(std::move(*secret));
  }
  if (!good) return std::nullopt;
  return secrets;
}

}  // namespace forebay::config
