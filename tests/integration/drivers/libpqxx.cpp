// libpqxx (libpqxx-dev) against the server in libpq's environment variables.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <pqxx/pqxx>

namespace {

int count = 0;
int failures = 0;

void check(const char* name, const std::function<void()>& run) {
  ++count;
  try {
    run();
    std::printf("ok %s\n", name);
  } catch (const std::exception& error) {
    ++failures;
    std::string why = error.what();
    for (char& c : why) {
      if (c == '\n') c = ' ';
    }
    std::printf("not ok %s: %s\n", name, why.c_str());
  }
  std::fflush(stdout);
}

template <typename A, typename B>
void same(const A& got, const B& expected, const char* what) {
  if (got == static_cast<A>(expected)) return;
  throw std::runtime_error(std::string(what) + ": got " + pqxx::to_string(got) + ", not " +
                           pqxx::to_string(expected));
}

std::string many(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

template <typename Error>
void fails(const char* what, const std::function<void()>& run) {
  try {
    run();
  } catch (const Error&) {
    return;
  }
  throw std::runtime_error(std::string("no error: ") + what);
}

// Every client calls its statements the same, with texts of its own.
void prepared_across_transactions() {
  std::vector<std::unique_ptr<pqxx::connection>> clients;
  std::set<int> pids;
  for (int n = 0; n < 8; ++n) {
    clients.push_back(std::make_unique<pqxx::connection>(""));
    clients[n]->prepare("product", "select pg_backend_pid(), $1::int * " + std::to_string(n));
    clients[n]->prepare("label", "select 'client " + std::to_string(n) + " ' || $1::text");
  }
  // While one's transaction is open, the next one needs another server connection.
  std::unique_ptr<pqxx::work> open;
  for (int turn = 0; turn < 25; ++turn) {
    for (int n = 0; n < 8; ++n) {
      auto work = std::make_unique<pqxx::work>(*clients[n]);
      const pqxx::row row = work->exec_prepared1("product", turn);
      pids.insert(row[0].as<int>());
      same(row[1].as<int>(), turn * n, "product");
      if (open) open->commit();
      open = std::move(work);
      const int last = (n + 7) % 8;
      if (turn == 0 && n == 0) continue;
      pqxx::nontransaction plain(*clients[last]);
      same(plain.exec_prepared1("label", turn)[0].as<std::string>(),
           "client " + std::to_string(last) + " " + std::to_string(turn), "label");
    }
  }
  open->commit();
  open.reset();
  const char* change = std::getenv("LAB_LINKS_CHANGE");
  if (change != nullptr && std::string(change) == "1" && pids.size() < 2) {
    throw std::runtime_error("every transaction ran on the same connection");
  }
}

void statements_come_and_go() {
  pqxx::connection client("");
  for (int n = 0; n < 60; ++n) {
    client.prepare("s", "select $1::int + " + std::to_string(n));
    pqxx::nontransaction work(client);
    same(work.exec_prepared1("s", 1)[0].as<int>(), n + 1, "sum");
    work.commit();
    client.unprepare("s");
  }
  pqxx::nontransaction work(client);
  fails<pqxx::sql_error>("the statement is gone", [&] { work.exec("execute s(1)"); });
}

void parameters() {
  pqxx::connection client("");
  pqxx::work work(client);
  for (int n = 0; n < 10; ++n) {
    const pqxx::row row =
        work.exec_params1("select $1::int, $2::text, $3::text, $4::bytea", n, "ünï €", nullptr,
                          pqxx::binarystring(std::string("\0\xff'\\", 4)));
    same(row[0].as<int>(), n, "int");
    same(row[1].as<std::string>(), "ünï €", "text");
    same(row[2].is_null(), true, "null");
    same(pqxx::binarystring(row[3]).str(), std::string("\0\xff'\\", 4), "bytea");
  }
}

void transactions_and_savepoints() {
  pqxx::connection client("");
  pqxx::work work(client);
  work.exec0("create temp table nested (n int) on commit drop");
  {
    pqxx::subtransaction inner(work, "inner");
    inner.exec0("insert into nested values (1)");
    inner.abort();
  }
  {
    pqxx::subtransaction inner(work, "again");
    fails<pqxx::sql_error>("division", [&] { inner.exec("select 1/0"); });
    inner.abort();
  }
  work.exec0("insert into nested values (2)");
  same(work.exec1("select string_agg(n::text, ',') from nested")[0].as<std::string>(), "2", "rows");
  work.commit();
  for (int i = 0; i < 5; ++i) {
    using pqxx::isolation_level;
    pqxx::transaction<isolation_level::serializable, pqxx::readwrite_policy::read_only> strict(
        client);
    same(strict.exec1("show transaction_isolation")[0].as<std::string>(), "serializable", "level");
    fails<pqxx::sql_error>("writing", [&] { strict.exec("create table never (n int)"); });
  }
  pqxx::work done(client);
  same(done.exec1("show transaction_read_only")[0].as<std::string>(), "off", "afterwards");
}

void cursors() {
  pqxx::connection client("");
  pqxx::work work(client);
  pqxx::stateless_cursor<pqxx::cursor_base::read_only, pqxx::cursor_base::owned> cursor(
      work, "select n from generate_series(1, 1000) n", "rows", false);
  for (int from : {0, 500, 90, 990}) {
    const pqxx::result rows = cursor.retrieve(from, from + 10);
    same(rows.size(), 10, "rows");
    same(rows[0][0].as<int>(), from + 1, "first row");
  }
  pqxx::icursorstream stream(work, "select n from generate_series(1, 500) n", "stream", 70);
  pqxx::result block;
  int expected = 1;
  while (stream >> block) {
    for (const auto& row : block) same(row[0].as<int>(), expected++, "streamed");
  }
  same(expected, 501, "end");
}

void copy_both_ways() {
  pqxx::connection client("");
  pqxx::work work(client);
  work.exec0("create temp table copied (n int, t text) on commit drop");
  pqxx::stream_to to(work, "copied", std::vector<std::string>{"n", "t"});
  for (int n = 0; n < 5000; ++n) to << std::make_tuple(n, "row\t" + std::to_string(n) + "\\");
  to.complete();
  pqxx::stream_from from(work, "copied");
  std::tuple<int, std::string> row;
  int expected = 0;
  while (from >> row) {
    same(std::get<0>(row), expected, "number");
    same(std::get<1>(row), "row\t" + std::to_string(expected) + "\\", "text");
    ++expected;
  }
  same(expected, 5000, "rows");
  from.complete();
  same(work.exec1("select count(*) from copied")[0].as<int>(), 5000, "afterwards");
}

// Gathers queries into one, and takes the results apart.
void pipeline() {
  pqxx::connection client("");
  pqxx::work work(client);
  pqxx::pipeline queries(work);
  queries.retain(20);
  std::vector<pqxx::pipeline::query_id> ids;
  for (int n = 0; n < 60; ++n) ids.push_back(queries.insert("select " + std::to_string(n)));
  for (int n = 59; n >= 0; --n) {
    same(queries.retrieve(ids[static_cast<std::size_t>(n)])[0][0].as<int>(), n, "result");
  }
  queries.complete();
}

class Bell : public pqxx::notification_receiver {
 public:
  Bell(pqxx::connection_base& client, const std::string& channel)
      : notification_receiver(client, channel) {}
  void operator()(const std::string& payload, int) override { rung = payload; }
  std::string rung;
};

void notifications() {
  pqxx::connection listener("");
  pqxx::connection other("");
  const std::string channel = "bell_" + std::to_string(other.backendpid());
  Bell bell(listener, channel);
  {
    pqxx::work work(listener);
    work.exec1("select 1");
    work.commit();
  }
  pqxx::work work(other);
  work.exec0("notify " + channel + ", 'rung'");
  work.commit();
  while (bell.rung.empty()) {
    if (listener.await_notification(30, 0) == 0) throw std::runtime_error("nothing within 30 s");
  }
  same(bell.rung, "rung", "payload");
}

void settings() {
  pqxx::connection client("options='-c work_mem=3MB'");
  client.set_variable("maintenance_work_mem", "'2MB'");
  for (int n = 0; n < 10; ++n) {
    pqxx::work work(client);
    same(work.exec1("show work_mem")[0].as<std::string>(), "3MB", "from the start");
    same(work.exec1("show maintenance_work_mem")[0].as<std::string>(), "2MB", "set");
    work.commit();
  }
  client.set_client_encoding("LATIN1");
  pqxx::work work(client);
  same(work.exec1("select 'é'")[0].as<std::string>().size(), std::size_t{2}, "two characters");
}

void errors_and_recovery() {
  pqxx::connection client("");
  for (int n = 0; n < 5; ++n) {
    fails<pqxx::syntax_error>("syntax", [&] { pqxx::work(client).exec("selec"); });
    fails<pqxx::undefined_table>("table",
                                 [&] { pqxx::work(client).exec("select * from nowhere"); });
    fails<pqxx::sql_error>("value", [&] { pqxx::work(client).exec_params("select $1::int", "x"); });
    pqxx::work work(client);
    same(work.exec_params1("select $1::int", n)[0].as<int>(), n, "afterwards");
  }
}

void large_values() {
  pqxx::connection client("");
  pqxx::work work(client);
  const std::string text = many("é", 2000000);
  same(work.exec_params1("select $1::text", text)[0].as<std::string>() == text, true, "same text");
}

void large_objects() {
  pqxx::connection client("");
  pqxx::work work(client);
  const std::string data = many("0123456789", 10000);
  pqxx::largeobjectaccess object(work);
  object.write(data);
  object.seek(0, std::ios::beg);
  std::string back(data.size(), '\0');
  same(static_cast<std::size_t>(object.read(&back[0], back.size())), data.size(), "size");
  same(back == data, true, "same data");
  object.remove(work);
  work.commit();
}

}  // namespace

int main() {
  check("prepared across transactions", prepared_across_transactions);
  check("statements come and go", statements_come_and_go);
  check("parameters", parameters);
  check("transactions and savepoints", transactions_and_savepoints);
  check("cursors", cursors);
  check("copy both ways", copy_both_ways);
  check("pipeline", pipeline);
  check("notifications", notifications);
  check("settings", settings);
  check("errors and recovery", errors_and_recovery);
  check("large values", large_values);
  check("large objects", large_objects);
  std::printf("1..%d\n", count);
  return failures ? 1 : 0;
}
