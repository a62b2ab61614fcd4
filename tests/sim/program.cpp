#include "sim/program.hpp"

#include <utility>

#include "support/words.hpp"

namespace forebay::test {
namespace {

using Then = Move::Then;

/// Texts that all clients use, so that they share statements.
constexpr const char* kShared[] = {"select shared-$1", "rows 3 shared", "insert shared",
                                   "select 2"};

class Author {
 public:
  Author(Random& random, std::size_t id, const ProgramRules& rules)
      : random_(random), id_(std::to_string(id)), mark_("c" + id_ + "-"), rules_(rules) {}

  Program write() {
    start_up();
    const std::size_t length = 1 + random_.below(12);
    for (std::size_t i = 0; i < length; ++i) act();
    if (in_block_ && random_.chance(80)) query("commit");
    last_words();
    return std::move(program_);
  }

 private:
  void start_up() {
    std::string text =
        random_.chance(30) ? "Startup 3.2" : (random_.chance(10) ? "Startup 3.7" : "Startup 3.0");
    text += " user=" + quote(rules_.user) + " database=\"app\"";
    if (random_.chance(25)) {
      program_.has_settings = true;
      if (random_.chance(50)) text += " timezone=" + quote(word());
      if (random_.chance(50)) text += " search_path=\"mine\"";
      if (random_.chance(50)) text += " application_name=" + quote(word());
    }
    if (random_.chance(10)) program_.startup += encode_startup(split("SSLRequest").at(0));
    program_.startup += encode_startup(split(text).at(0));
  }

  void act() {
    switch (random_.below(rules_.keeps ? 22 : 14)) {
      case 0:
      case 1:
        query(statement());
        break;
      case 2:
        query(statement() + "; " + statement());
        break;
      case 3:
      case 4:
        batch(random_.chance(70));
        break;
      case 5:
      case 6:
        named_batch();
        break;
      case 7:
        pipeline();
        break;
      case 8:
      case 9:
        transaction();
        break;
      case 10:
        copy_in();
        break;
      case 11:
        settings();
        break;
      case 12:
        portal();
        break;
      case 14:
      case 15:
        names();
        break;
      case 16:
      case 17:
        unreported();
        break;
      case 18:
        tables();
        break;
      case 19:
        locks();
        break;
      case 20:
      case 21:
        channels();
        break;
      default:
        odd();
    }
  }

  // ---- texts

  std::string word() { return mark_ + std::to_string(++number_); }

  std::string statement() {
    switch (random_.below(10)) {
      case 0:
        return "error";
      case 1:
        return "syntax " + word();
      case 2:
        return "insert " + word();
      case 3:
        return "rows " + std::to_string(random_.below(5)) + " " + word();
      case 4:
        return "copy out";
      case 5:
        return "notice " + word();
      case 6:
        return "show timezone";
      case 7:
        return program_.has_settings ? "show search_path" : "select " + word();
      case 8:
        return "sleep " + word();
      default:
        return "select " + word();
    }
  }

  // ---- moves

  void say(const std::string& text, std::size_t asks, Then then = Then::readies) {
    program_.moves.push_back({frontend(text), asks, then, text});
  }

  void query(const std::string& text) {
    const bool sleeps = text.find("sleep") != std::string::npos;
    if (sleeps && random_.chance(40)) {
      say("Query " + quote(text), 1, Then::cancel);
      wait();
    } else {
      say("Query " + quote(text), 1, random_.chance(80) ? Then::readies : Then::go_on);
    }
  }

  void wait() { program_.moves.push_back({{}, 0, Then::readies, "waits"}); }

  std::string one_execution(const std::string& name) {
    std::string text = "Bind \"\" " + quote(name) + " " + quote(word());
    if (random_.chance(30)) text += " ; Describe P \"\"";
    return text + " ; Execute \"\"";
  }

  void batch(bool waits) {
    std::string text = "Parse \"\" " + quote(statement_for_batch());
    if (random_.chance(30)) text += " ; Describe S \"\"";
    if (random_.chance(20)) {  // the unnamed statement has to live over a Sync
      say(text + " ; Sync", 1);
      say(one_execution("") + " ; Sync", 1);
      return;
    }
    say(text + " ; " + one_execution("") + " ; Sync", 1, waits ? Then::readies : Then::go_on);
  }

  std::string statement_for_batch() {
    if (random_.chance(40)) return kShared[random_.below(4)];
    return statement();
  }

  void named_batch() {
    const std::string name = "s" + std::to_string(random_.below(4));
    // In a transaction that may have failed, only what is answered is known to us.
    if (in_block_ || random_.chance(50)) wait();
    std::string text;
    if (random_.chance(60)) {
      text = "Parse " + quote(name) + " " + quote(statement_for_batch()) + " ; ";
      if (in_block_) {
        say(text + "Sync", 1);
        text.clear();
      }
    }
    text += one_execution(name) + " ; ";
    if (random_.chance(25)) text += "Close S " + quote(name) + " ; ";
    if (random_.chance(10)) text += "Describe S \"s9\" ; ";
    if (random_.chance(20)) text += "Flush ; ";
    say(text + "Sync", 1, random_.chance(70) || in_block_ ? Then::readies : Then::go_on);
  }

  void pipeline() {
    if (in_block_) return;
    const std::size_t length = 2 + random_.below(4);
    for (std::size_t i = 0; i < length; ++i) {
      if (random_.chance(50)) {
        batch(false);
      } else if (random_.chance(50)) {
        named_batch();
      } else {
        say("Query " + quote(statement()), 1, Then::go_on);
      }
    }
    wait();
  }

  void transaction() {
    if (!rules_.transactions) return;
    if (!in_block_) {
      say("Query \"begin\"", 1);
      in_block_ = true;
      if (random_.chance(30)) say("Query \"savepoint one\"", 1);
      return;
    }
    if (random_.chance(30)) {
      say("Query \"rollback to one\"", 1);
      return;
    }
    say(random_.chance(50) ? "Query \"commit\"" : "Query \"rollback\"", 1);
    in_block_ = false;
  }

  void copy_in() {
    const bool simple = random_.chance(60);
    if (simple) {
      say("Query \"copy in\"", 1, Then::copy_in);
    } else {
      say("Parse \"\" \"copy in\" ; Bind \"\" \"\" ; Execute \"\" ; Flush", 0, Then::copy_in);
    }
    const std::size_t rows = random_.below(4);
    for (std::size_t i = 0; i < rows; ++i) {
      const std::string data = random_.chance(15) ? "bad" : word();
      say("CopyData " + quote(data + "\n"), 0, Then::go_on);
    }
    const std::string end = random_.chance(70) ? "CopyDone" : "CopyFail \"no more\"";
    say(simple ? end : end + " ; Sync", simple ? 0 : 1);
  }

  void settings() {
    switch (random_.below(program_.has_settings ? 3 : 6)) {
      case 0:
      case 1:
        query("set timezone = '" + word() + "'");
        return;
      case 2:
        query("set timezone = 'bad'");
        return;
      case 3:
        query("reset timezone");
        return;
      case 4:
        wait();
        say("Query \"deallocate all\"", 1, random_.chance(50) ? Then::go_on : Then::readies);
        return;
      default:
        if (!in_block_) query("discard all");
    }
  }

  void portal() {
    say("Parse \"\" " + quote("rows 5 " + word()) + " ; Bind \"p\" \"\" ; Execute \"p\" 2 ; Flush",
        0, Then::go_on);
    if (random_.chance(60)) say("Execute \"p\" 2 ; Flush", 0, Then::go_on);
    say("Execute \"p\" ; Close P \"p\" ; Sync", 1);
  }

  // ---- what a session has by SQL

  void names() {
    const std::string name = "q" + std::to_string(random_.below(3));
    // In a transaction that may have failed, only what is answered is known to us.
    if (in_block_ || random_.chance(50)) wait();
    const Then then = in_block_ || random_.chance(70) ? Then::readies : Then::go_on;
    switch (random_.below(8)) {
      case 6:
      case 7:
        say("Query " + quote(names_in_one_text(name)), 1, then);
        return;
      case 0:
      case 1:
        say("Query " + quote("prepare " + name + " as select " + word()), 1, then);
        return;
      case 2:
        say("Query " + quote("prepare " + name + " as select " + word() + "; execute " + name), 1,
            then);
        return;
      case 3:
        say("Query " + quote("deallocate " + name), 1, then);
        return;
      case 4:
        say("Parse \"\" " + quote("execute " + name) + " ; " + one_execution("") + " ; Sync", 1,
            then);
        return;
      default:
        say("Query " + quote("execute " + name), 1, then);
    }
  }

  // Deallocated and prepared by the same name, as one text.
  std::string names_in_one_text(const std::string& name) {
    const std::string as = " as select " + (random_.chance(50) ? word() : mark_ + "again");
    const std::string prepare = "prepare " + name + as;
    const std::string deallocate = "deallocate " + (random_.chance(25) ? "all" : name);
    switch (random_.below(5)) {
      case 0:
        return deallocate + "; " + prepare;
      case 1:
        return deallocate + "; " + prepare + "; execute " + name;
      case 2:
        return prepare + "; " + deallocate + "; " + prepare + "; execute " + name;
      case 3:
        return prepare + "; " + deallocate + "; execute " + name;
      default:
        return "deallocate all; " + prepare + "; prepare q3" + as + "; execute q3; execute " + name;
    }
  }

  void unreported() {
    switch (random_.below(5)) {
      case 0:
      case 1:
        query("set work_mem = '" + word() + "'");
        return;
      case 2:
        query(random_.chance(70) ? "reset work_mem" : "reset all");
        return;
      default:
        query("show work_mem");
    }
  }

  void tables() {
    if (!rules_.transactions) return;
    const std::string name = "t" + std::to_string(random_.below(2));
    query(random_.chance(60) ? "create temp table " + name + " (a int)" : "drop table " + name);
  }

  void locks() {
    if (!rules_.transactions) return;
    const std::string key = id_ + std::to_string(random_.below(2));
    query("select pg_advisory_" + std::string(random_.chance(60) ? "lock(" : "unlock(") + key +
          ")");
  }

  // Others' notifications come at any time: everybody has channels of its own.
  void channels() {
    if (!rules_.transactions) return;
    const std::string name = "ch" + id_ + "x" + std::to_string(random_.below(2));
    switch (random_.below(5)) {
      case 0:
      case 1:
        query("listen " + name);
        return;
      case 2:
        query("unlisten " + (random_.chance(30) ? "*" : name));
        return;
      default:
        query("notify " + name + ", '" + word() + "'");
    }
  }

  void odd() {
    switch (random_.below(6)) {
      case 0:
        say("Sync", 1);
        return;
      case 1:
        say("FunctionCall 7 " + quote(word()), 1);
        return;
      case 2:
        query("");
        return;
      case 3:
        query("notify " + word());
        return;
      case 4:
        say("Bind \"\" \"nosuch\" ; Execute \"\" ; Sync", 1);
        return;
      default:
        say("Flush ; Close S \"nosuch\" ; Sync", 1);
    }
  }

  void last_words() {
    if (rules_.leaves_abruptly && !program_.moves.empty() && random_.chance(20)) {
      // Somewhere on the way, perhaps in the middle of a message.
      auto& moves = program_.moves;
      program_.breaks_off = true;
      moves.resize(1 + random_.below(moves.size()));
      Move& last = moves.back();
      if (random_.chance(50)) last.bytes.resize(random_.below(last.bytes.size() + 1));
      last.then = random_.chance(60) ? Then::reset : Then::half_close;
      return;
    }
    if (random_.chance(50)) {
      program_.breaks_off = random_.chance(50);
      say("Terminate", 0, program_.breaks_off ? Then::reset : Then::half_close);
    } else {
      program_.moves.push_back({{}, 0, Then::half_close, "ends"});
    }
  }

  Random& random_;
  const std::string id_;
  const std::string mark_;
  const ProgramRules rules_;
  Program program_;
  std::size_t number_ = 0;
  bool in_block_ = false;
};

}  // namespace

Program make_program(Random& random, std::size_t id, const ProgramRules& rules) {
  return Author(random, id, rules).write();
}

}  // namespace forebay::test
