#include "forebay/protocol/postgres/message_table.hpp"

#include "forebay/base/assert.hpp"

namespace forebay::pg {
namespace {

struct Line {
  char type;
  MessageKind kind;
};

// Bodies, so without the length word, which counts itself.
constexpr std::uint32_t kSmall = kSmallMessageMax - 4;
constexpr std::uint32_t kLarge = kMessageMax - 4;
// A server's rows may be a little larger than kMessageMax, and we keep none of them.
constexpr std::uint32_t kRow = 0x3fffffff;

// Every message that a client may send after start-up.
constexpr Line kFrontendLines[] = {
    {'B',
     {"Bind", Look::whole, 0, kLarge,
      "statement name replaced by the shared one; a missing "
      "Parse goes ahead of it in the same write"}},
    {'C',
     {"Close", Look::whole, 0, kSmall,
      "a shared statement stays on the server, the answer is "
      "supplied; a portal's goes on"}},
    {'d', {"CopyData", Look::pass, 0, kLarge, "goes on; dropped outside COPY, as PostgreSQL does"}},
    {'c', {"CopyDone", Look::whole, 0, kSmall, "goes on; ends copy-in"}},
    {'f', {"CopyFail", Look::whole, 0, kSmall, "goes on; ends copy-in"}},
    {'D', {"Describe", Look::whole, 0, kSmall, "statement name replaced, as for Bind"}},
    {'E',
     {"Execute", Look::whole, 0, kSmall,
      "goes on; what its statement does to the session is "
      "followed"}},
    {'H', {"Flush", Look::whole, 0, kSmall, "goes on"}},
    {'F', {"FunctionCall", Look::whole, 0, kLarge, "goes on"}},
    {'P',
     {"Parse", Look::whole, 0, kLarge,
      "a named statement is shared by all clients of "
      "the pool; the answer is supplied where the server "
      "has it"}},
    {'p',
     {"Password", Look::whole, 0, kSmall,
      "authentication only: PasswordMessage, "
      "SASLInitialResponse, SASLResponse"}},
    {'Q',
     {"Query", Look::whole, 0, kLarge,
      "goes on; what it does to the session is followed, "
      "names of prepared statements in it are replaced"}},
    {'S', {"Sync", Look::whole, 0, kSmall, "goes on; answered here when nothing is open"}},
    {'X', {"Terminate", Look::whole, 0, kSmall, "ends the client; the server connection is kept"}},
};

// Every message that a server may send after start-up. Upper bounds are for those that we keep or
// that have a fixed shape: servers are not trusted either.
constexpr Line kBackendLines[] = {
    {'R', {"Authentication", Look::whole, 4, kSmall, "the login of a server connection"}},
    {'K',
     {"BackendKeyData", Look::whole, 8, 260,
      "kept for cancel requests; a client gets a key "
      "of its own"}},
    {'2', {"BindComplete", Look::whole, 0, 0, "goes on"}},
    {'3', {"CloseComplete", Look::whole, 0, 0, "goes on; swallowed when we closed"}},
    {'C', {"CommandComplete", Look::whole, 1, kLarge, "goes on; its tag is read"}},
    {'W', {"CopyBothResponse", Look::whole, 3, kSmall, "goes on; replication only"}},
    {'d', {"CopyData", Look::pass, 0, kRow, "goes on"}},
    {'c', {"CopyDone", Look::whole, 0, 0, "goes on"}},
    {'G', {"CopyInResponse", Look::whole, 3, kSmall, "goes on; the client streams until CopyDone"}},
    {'H', {"CopyOutResponse", Look::whole, 3, kSmall, "goes on"}},
    {'D', {"DataRow", Look::pass, 2, kRow, "goes on"}},
    {'I', {"EmptyQueryResponse", Look::whole, 0, 0, "goes on"}},
    {'E',
     {"ErrorResponse", Look::whole, 1, kLarge,
      "goes on; what the batch still expected up to "
      "its Sync is void"}},
    {'V', {"FunctionCallResponse", Look::whole, 4, kLarge, "goes on"}},
    {'v', {"NegotiateProtocolVersion", Look::whole, 8, kSmall, "the login of a server connection"}},
    {'n', {"NoData", Look::whole, 0, 0, "goes on"}},
    {'N',
     {"NoticeResponse", Look::whole, 1, kLarge,
      "goes on; 57P01 and 57P02 announce the end of "
      "the connection"}},
    {'A', {"NotificationResponse", Look::whole, 6, kLarge, "goes on"}},
    {'t', {"ParameterDescription", Look::whole, 2, kLarge, "goes on"}},
    {'S',
     {"ParameterStatus", Look::whole, 2, kLarge,
      "goes on; remembered for client and server "
      "connection"}},
    {'1', {"ParseComplete", Look::whole, 0, 0, "goes on; swallowed when we parsed"}},
    {'s', {"PortalSuspended", Look::whole, 0, 0, "goes on"}},
    {'Z',
     {"ReadyForQuery", Look::whole, 1, 1,
      "goes on; in status I with nothing owed the server "
      "connection is free, unless something pins it"}},
    {'T', {"RowDescription", Look::whole, 2, kLarge, "goes on"}},
};

struct Table {
  MessageKind kinds[256];

  template <std::size_t N>
  constexpr explicit Table(const Line (&lines)[N]) : kinds{} {
    for (const Line& line : lines) {
      MessageKind& kind = kinds[static_cast<unsigned char>(line.type)];
      FB_ASSERT(kind.name == nullptr);  // two lines for one type: does not compile
      kind = line.kind;
    }
  }
};

constexpr Table kTables[] = {Table(kFrontendLines), Table(kBackendLines)};

}  // namespace

const MessageKind& message_kind(Sender sender, char type) noexcept {
  return kTables[static_cast<std::size_t>(sender)].kinds[static_cast<unsigned char>(type)];
}

const std::array<StartupKind, 4> startup_kinds = {{
    {"StartupMessage", kProtocol3_0,
     "3.0 and 3.2 are spoken; a newer minor version and unknown "
     "_pq_ options are negotiated down"},
    {"SSLRequest", kSslRequestCode, "S or N; once for each connection"},
    {"GSSENCRequest", kGssEncRequestCode, "N; SSLRequest may follow"},
    {"CancelRequest", kCancelRequestCode, "passed on to the server that runs the statement"},
}};

}  // namespace forebay::pg
