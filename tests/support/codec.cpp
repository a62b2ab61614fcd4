#include <array>
#include <functional>
#include <stdexcept>
#include <utility>

#include "forebay/protocol/postgres/message_table.hpp"
#include "forebay/protocol/postgres/reader.hpp"
#include "support/words.hpp"

// Written without the project's own views and writers: it is to find their errors, not share them.
namespace forebay::test {
namespace {

// What stands in a message's body, in order.
enum class Field : std::uint8_t {
  none,
  text,      ///< "text" and its NUL
  letter,    ///< one byte, bare
  number,    ///< Int32
  optional,  ///< Int32, 0 when left out
  rest,      ///< "bytes" up to the end
  types,     ///< Int16 count, Int32 each
  values,    ///< Int16 count, each with an Int32 length, or null
  bound,     ///< as values, between two empty lists of formats
  columns,   ///< names of columns of type text
  report,    ///< ErrorResponse, NoticeResponse: SEVERITY SQLSTATE "message" X="further field"
  options,   ///< Int32 count, "text" each
  copy,      ///< CopyInResponse: text format, no columns
  argument,  ///< FunctionCall: one text argument; FunctionCallResponse: "value" or null
};

struct Spec {
  const char* name;
  char type;
  std::array<Field, 3> fields{};
};

constexpr Spec kFrontend[] = {
    {"Bind", 'B', {Field::text, Field::text, Field::bound}},
    {"Close", 'C', {Field::letter, Field::text}},
    {"CopyData", 'd', {Field::rest}},
    {"CopyDone", 'c', {}},
    {"CopyFail", 'f', {Field::text}},
    {"Describe", 'D', {Field::letter, Field::text}},
    {"Execute", 'E', {Field::text, Field::optional}},
    {"Flush", 'H', {}},
    {"FunctionCall", 'F', {Field::number, Field::argument}},
    {"Parse", 'P', {Field::text, Field::text, Field::types}},
    {"Password", 'p', {Field::text}},
    {"SASLResponse", 'p', {Field::rest}},
    {"Query", 'Q', {Field::text}},
    {"Sync", 'S', {}},
    {"Terminate", 'X', {}},
};

constexpr Spec kBackend[] = {
    {"Authentication", 'R', {Field::number, Field::rest}},
    {"BackendKeyData", 'K', {Field::number, Field::rest}},
    {"BindComplete", '2', {}},
    {"CloseComplete", '3', {}},
    {"CommandComplete", 'C', {Field::text}},
    {"CopyBothResponse", 'W', {Field::copy}},
    {"CopyData", 'd', {Field::rest}},
    {"CopyDone", 'c', {}},
    {"CopyInResponse", 'G', {Field::copy}},
    {"CopyOutResponse", 'H', {Field::copy}},
    {"DataRow", 'D', {Field::values}},
    {"EmptyQueryResponse", 'I', {}},
    {"ErrorResponse", 'E', {Field::report}},
    {"FunctionCallResponse", 'V', {Field::argument}},
    {"NegotiateProtocolVersion", 'v', {Field::number, Field::options}},
    {"NoData", 'n', {}},
    {"NoticeResponse", 'N', {Field::report}},
    {"NotificationResponse", 'A', {Field::number, Field::text, Field::text}},
    {"ParameterDescription", 't', {Field::types}},
    {"ParameterStatus", 'S', {Field::text, Field::text}},
    {"ParseComplete", '1', {}},
    {"PortalSuspended", 's', {}},
    {"ReadyForQuery", 'Z', {Field::letter}},
    {"RowDescription", 'T', {Field::columns}},
};

std::string u16(std::size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}
std::string u32(std::size_t value) {
  std::string bytes(4, '\0');
  store_u32(bytes.data(), static_cast<std::uint32_t>(value));
  return bytes;
}

bool is_null(const Word& word) {
  return !word.quoted && word.text == "null";
}

std::string value_of(const Word& word) {
  return is_null(word) ? u32(0xffffffff) : u32(word.text.size()) + word.text;
}

std::uint32_t number_of(const Word& word) {
  const std::size_t dot = word.text.find('.');  // of a protocol version
  const auto number = static_cast<std::uint32_t>(std::stoul(word.text));
  if (dot == std::string::npos) return number;
  return (number << 16) + static_cast<std::uint32_t>(std::stoul(word.text.substr(dot + 1)));
}

// ---------------------------------------------------------------- to bytes

// Takes words off the front as it needs them.
class Encoder {
 public:
  explicit Encoder(const Words& message) : message_(message) {}

  std::string body(const Spec& spec) {
    for (const Field field : spec.fields) add(field);
    if (at_ != message_.size()) fail("too many words");
    return std::move(body_);
  }

 private:
  [[noreturn]] void fail(const std::string& why) {
    throw std::runtime_error(why + " in: " + to_string(message_));
  }
  [[nodiscard]] bool more() const { return at_ < message_.size(); }
  const Word& word() {
    if (!more()) fail("too few words");
    return message_[at_++];
  }

  void add(Field field) {
    switch (field) {
      case Field::none:
        return;
      case Field::text:
        body_ += word().text + '\0';
        return;
      case Field::letter:
        body_ += word().text;
        return;
      case Field::number:
        body_ += u32(number_of(word()));
        return;
      case Field::optional:
        body_ += u32(more() ? number_of(word()) : 0);
        return;
      case Field::rest:
        if (more()) body_ += word().text;
        return;
      case Field::copy:
        body_ += '\0' + u16(0);
        return;
      case Field::report:
        add_report();
        return;
      case Field::bound:
        body_ += u16(0);
        add_list(u16, value_of);
        body_ += u16(0);
        return;
      case Field::values:
        add_list(u16, value_of);
        return;
      case Field::types:
        add_list(u16, [](const Word& type) { return u32(number_of(type)); });
        return;
      case Field::options:
        add_list(u32, [](const Word& option) { return option.text + '\0'; });
        return;
      case Field::columns:
        add_list(u16, [](const Word& name) {
          return name.text + '\0' + u32(0) + u16(0) + u32(25) + u16(0xffff) + u32(0xffffffff) +
                 u16(0);
        });
        return;
      case Field::argument:
        add_argument();
        return;
    }
  }

  void add_list(std::string (*count)(std::size_t), std::string (*item)(const Word&)) {
    body_ += count(message_.size() - at_);
    while (more()) body_ += item(word());
  }

  // FunctionCall has formats around its argument, FunctionCallResponse has not.
  void add_argument() {
    const bool call = message_.front().text == "FunctionCall";
    if (call) body_ += u16(0) + u16(1);
    body_ += value_of(word());
    if (call) body_ += u16(0);
  }

  void add_report() {
    if (more() && message_[at_].name.empty()) {
      const std::string severity = word().text;
      body_ += 'S' + severity + '\0' + 'V' + severity + '\0';
      body_ += 'C' + word().text + '\0';
      body_ += 'M' + word().text + '\0';
    }
    while (more()) {
      const Word& field = word();
      body_ += field.name + field.text + '\0';
    }
    body_ += '\0';
  }

  const Words& message_;
  std::size_t at_ = 1;
  std::string body_;
};

// The manual gives each kind of Authentication message a name of its own.
constexpr std::pair<const char*, std::uint32_t> kAuthentication[] = {
    {"AuthenticationOk", 0},
    {"AuthenticationCleartextPassword", 3},
    {"AuthenticationMD5Password", 5},
    {"AuthenticationSASL", 10},
    {"AuthenticationSASLContinue", 11},
    {"AuthenticationSASLFinal", 12},
};

Words unnamed_authentication(Words message) {
  for (const auto& [name, code] : kAuthentication) {
    if (message.at(0).text != name) continue;
    message[0].text = "Authentication";
    message.insert(message.begin() + 1, {std::to_string(code), {}, false});
    return message;
  }
  return message;
}

Words named_authentication(Words message) {
  for (const auto& [name, code] : kAuthentication) {
    if (message.size() < 2 || message[0].text != "Authentication") return message;
    if (message[1].text != std::to_string(code)) continue;
    message[0].text = name;
    message.erase(message.begin() + 1);
    return message;
  }
  return message;
}

template <std::size_t N>
std::string encode(const Spec (&specs)[N], const Words& message) {
  if (message.at(0).text == "hex") {
    std::string bytes;
    const std::string& digits = message.at(1).text;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
      bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
    }
    return bytes;
  }
  if (message.at(0).text == "bytes") return message.at(1).text;
  for (const Spec& spec : specs) {
    if (message[0].text != spec.name) continue;
    const std::string body = Encoder(message).body(spec);
    return spec.type + u32(body.size() + 4) + body;
  }
  throw std::runtime_error("no such message: " + to_string(message));
}

// ---------------------------------------------------------------- to words

Word bare(std::string text) {
  return {std::move(text), {}, false};
}
Word quoted(Bytes text) {
  return {std::string(text), {}, true};
}

class Decoder {
 public:
  Decoder(const Spec& spec, Bytes body) : in_(body) {
    words_.push_back(bare(spec.name));
    for (const Field field : spec.fields) take(field);
  }
  [[nodiscard]] bool good() const { return in_.done() && good_; }
  [[nodiscard]] Words& words() { return words_; }

 private:
  void take(Field field) {
    switch (field) {
      case Field::none:
        return;
      case Field::text:
        words_.push_back(quoted(in_.text()));
        return;
      case Field::letter:
        words_.push_back(bare(std::string(in_.bytes(1))));
        return;
      case Field::number:
        words_.push_back(bare(std::to_string(in_.u32())));
        return;
      case Field::optional:
        if (const std::uint32_t number = in_.u32(); number != 0) {
          words_.push_back(bare(std::to_string(number)));
        }
        return;
      case Field::rest:
        if (in_.left() > 0) words_.push_back(quoted(in_.rest()));
        return;
      case Field::copy:
        expect(0, 1), expect(0, 2);
        return;
      case Field::report:
        take_report();
        return;
      case Field::bound:
        expect(0, 2);
        take_values(in_.u16());
        expect(0, 2);
        return;
      case Field::values:
        take_values(in_.u16());
        return;
      case Field::types:
        for (std::size_t left = in_.u16(); left > 0 && in_.ok(); --left) {
          words_.push_back(bare(std::to_string(in_.u32())));
        }
        return;
      case Field::options:
        for (std::size_t left = in_.u32(); left > 0 && in_.ok(); --left) {
          words_.push_back(quoted(in_.text()));
        }
        return;
      case Field::columns:
        for (std::size_t left = in_.u16(); left > 0 && in_.ok(); --left) {
          words_.push_back(quoted(in_.text()));
          in_.bytes(18);
        }
        return;
      case Field::argument:
        take_argument();
        return;
    }
  }

  void expect(std::uint32_t value, int bytes) {
    const std::uint32_t found = bytes == 1 ? in_.u8() : in_.u16();
    good_ = good_ && found == value;
  }

  void take_values(std::size_t count) {
    for (; count > 0 && in_.ok(); --count) {
      const std::int32_t size = in_.i32();
      words_.push_back(size < 0 ? bare("null") : quoted(in_.bytes(static_cast<std::size_t>(size))));
    }
  }

  void take_argument() {
    const bool call = words_.front().text == "FunctionCall";
    if (call) expect(0, 2), expect(1, 2);
    take_values(1);
    if (call) expect(0, 2);
  }

  void take_report() {
    Words fields;
    for (std::uint8_t code = in_.u8(); code != 0 && in_.ok(); code = in_.u8()) {
      fields.push_back({std::string(in_.text()), std::string(1, static_cast<char>(code)), true});
    }
    const bool usual = fields.size() >= 4 && fields[0].name == "S" && fields[1].name == "V" &&
                       fields[2].name == "C" && fields[3].name == "M" &&
                       fields[0].text == fields[1].text;
    std::size_t next = 0;
    if (usual) {
      words_.push_back(bare(fields[0].text));
      words_.push_back(bare(fields[2].text));
      words_.push_back(quoted(fields[3].text));
      next = 4;
    }
    words_.insert(words_.end(), fields.begin() + static_cast<std::ptrdiff_t>(next), fields.end());
  }

  pg::Reader in_;
  Words words_;
  bool good_ = true;
};

Words hex_of(Bytes bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string digits;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    digits += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return {bare("hex"), bare(digits)};
}

template <std::size_t N>
Words take(const Spec (&specs)[N], std::string& bytes) {
  if (bytes.size() < 5) return {};
  const std::size_t total = std::size_t{load_u32(bytes.data() + 1)} + 1;
  if (total < 5) return hex_of(std::exchange(bytes, {}));
  if (bytes.size() < total) return {};
  const std::string whole = bytes.substr(0, total);
  bytes.erase(0, total);
  for (const Spec& spec : specs) {
    if (spec.type != whole.front()) continue;
    Decoder decoder(spec, Bytes(whole).substr(5));
    if (decoder.good()) return std::move(decoder.words());
  }
  return hex_of(whole);
}

std::string all_text(std::string bytes, const std::function<Words(std::string&)>& take_one) {
  std::string text;
  for (Words message = take_one(bytes); !message.empty(); message = take_one(bytes)) {
    if (!text.empty()) text += " ; ";
    text += to_string(message);
  }
  if (!bytes.empty()) text += " + " + std::to_string(bytes.size()) + " bytes";
  return text;
}

}  // namespace

std::string encode_frontend(const Words& message) {
  return encode(kFrontend, message);
}
std::string encode_backend(const Words& message) {
  return encode(kBackend, unnamed_authentication(message));
}

std::string frontend(std::string_view text) {
  std::string bytes;
  for (const Words& message : split(text)) bytes += encode_frontend(message);
  return bytes;
}

std::string backend(std::string_view text) {
  std::string bytes;
  for (const Words& message : split(text)) bytes += encode_backend(message);
  return bytes;
}

Words take_frontend(std::string& bytes) {
  return take(kFrontend, bytes);
}
Words take_backend(std::string& bytes) {
  return named_authentication(take(kBackend, bytes));
}

std::string frontend_text(std::string bytes) {
  return all_text(std::move(bytes), take_frontend);
}
std::string backend_text(std::string bytes) {
  return all_text(std::move(bytes), take_backend);
}

std::string encode_startup(const Words& packet) {
  const std::string& name = packet.at(0).text;
  std::string body;
  if (name == "SSLRequest") {
    body = u32(pg::kSslRequestCode);
  } else if (name == "GSSENCRequest") {
    body = u32(pg::kGssEncRequestCode);
  } else if (name == "CancelRequest") {
    body = u32(pg::kCancelRequestCode) + u32(number_of(packet.at(1))) + packet.at(2).text;
  } else if (name == "Startup") {
    body = u32(number_of(packet.at(1)));
    for (std::size_t i = 2; i < packet.size(); ++i) {
      body += packet[i].name + '\0' + packet[i].text + '\0';
    }
    body += '\0';
  } else {
    return encode_frontend(packet);
  }
  return u32(body.size() + 4) + body;
}

Words take_startup(std::string& bytes) {
  if (bytes.size() < 8 || bytes.size() < load_u32(bytes.data())) return {};
  const std::size_t total = load_u32(bytes.data());
  const std::string whole = bytes.substr(0, total);
  bytes.erase(0, total);
  pg::Reader in(Bytes(whole).substr(4));
  const std::uint32_t code = in.u32();
  if (code == pg::kSslRequestCode) return {bare("SSLRequest")};
  if (code == pg::kGssEncRequestCode) return {bare("GSSENCRequest")};
  if (code == pg::kCancelRequestCode) {
    const std::uint32_t process_id = in.u32();
    return {bare("CancelRequest"), bare(std::to_string(process_id)), quoted(in.rest())};
  }
  Words words = {bare("Startup"),
                 bare(std::to_string(code >> 16) + "." + std::to_string(code & 0xffff))};
  for (Bytes name = in.text(); in.ok() && !name.empty(); name = in.text()) {
    words.push_back({std::string(in.text()), std::string(name), true});
  }
  return words;
}

}  // namespace forebay::test
