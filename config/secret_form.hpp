#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace forebay::config {

/// What a stored password is, by PostgreSQL's rules (`pg_authid.rolpassword`).
enum class SecretForm : unsigned char { clear_text, md5, scram_sha_256 };

[[nodiscard]] SecretForm secret_form(std::string_view text) noexcept;

/// Why `text` cannot serve as a stored password, or nothing: empty, NUL, more than one line, or
/// what was meant as a hash or verifier and is none. Never quotes the text.
[[nodiscard]] std::optional<std::string> refuse_secret(std::string_view text);

}  // namespace forebay::config
