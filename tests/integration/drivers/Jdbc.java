// pgjdbc (libpostgresql-jdbc-java) against the server in the PG* variables.
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

public class Jdbc {
    interface Check {
        void run() throws Exception;
    }

    static final String MODE = System.getenv().getOrDefault("LAB_MODE", "direct");
    // In transaction mode behind a pooler, other clients keep the pool busy, and a client's
    // transactions must really run on several server connections.
    static final boolean LINKS_CHANGE = "1".equals(System.getenv("LAB_LINKS_CHANGE"));
    static final ExecutorService THREADS = Executors.newCachedThreadPool(r -> {
        Thread thread = new Thread(r);
        thread.setDaemon(true);
        return thread;
    });

    static Connection connect(String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("sslmode", System.getenv("PGSSLMODE"));
        properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        properties.setProperty("loginTimeout", "20");
        properties.setProperty("socketTimeout", "60");
        for (int i = 0; i < options.length; i += 2) {
            properties.setProperty(options[i], options[i + 1]);
        }
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT")
            + "/" + System.getenv("PGDATABASE");
        return DriverManager.getConnection(url, properties);
    }

    static void equal(Object expected, Object got) {
        if (!String.valueOf(expected).equals(String.valueOf(got))) {
            throw new AssertionError("expected " + expected + ", got " + got);
        }
    }

    static void fails(String state, Check check) throws Exception {
        try {
            check.run();
        } catch (SQLException error) {
            equal(state, error.getSQLState());
            return;
        }
        throw new AssertionError("no error " + state);
    }

    static void values() throws Exception {
        // The fifth execution makes a named statement; binary transfer of more types after that.
        try (Connection connection = connect("prepareThreshold", "2");
             PreparedStatement statement = connection.prepareStatement(
                 "select ?::int, ?::bigint, ?::text, ?::bytea, ?::float8, ?::numeric, ?::bool, "
                 + "?::text, ?::int[], ?::timestamp")) {
            for (int turn = 0; turn < 12; turn++) {
                statement.setInt(1, turn);
                statement.setLong(2, -(1L << 40));
                statement.setString(3, "ünï €");
                statement.setBytes(4, new byte[] {0, (byte) 0xff});
                statement.setDouble(5, 1.5);
                statement.setBigDecimal(6, new java.math.BigDecimal("12.3400"));
                statement.setBoolean(7, true);
                statement.setString(8, null);
                statement.setArray(9, connection.createArrayOf("int4", new Integer[] {1, null, 3}));
                statement.setTimestamp(10, java.sql.Timestamp.valueOf("2024-02-29 12:00:00.5"));
                try (ResultSet row = statement.executeQuery()) {
                    row.next();
                    equal(turn, row.getInt(1));
                    equal(-(1L << 40), row.getLong(2));
                    equal("ünï €", row.getString(3));
                    equal("[0, -1]", Arrays.toString(row.getBytes(4)));
                    equal(1.5, row.getDouble(5));
                    equal("12.3400", row.getBigDecimal(6));
                    equal(true, row.getBoolean(7));
                    equal(null, row.getString(8));
                    equal("[1, null, 3]", Arrays.toString((Object[]) row.getArray(9).getArray()));
                    equal("2024-02-29 12:00:00.5", row.getTimestamp(10));
                }
            }
        }
    }

    static void preparedAcrossTransactions() throws Exception {
        // pgjdbc calls its statements S_1, S_2, ... in every connection: they collide on purpose.
        Set<Integer> pids = ConcurrentHashMap.newKeySet();
        List<Future<Void>> clients = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            int number = i;
            Callable<Void> client = () -> {
                try (Connection connection = connect("prepareThreshold", "1")) {
                    connection.setAutoCommit(false);
                    try (PreparedStatement product = connection.prepareStatement(
                             "select ?::int * " + number + ", pg_backend_pid()");
                         PreparedStatement label = connection.prepareStatement(
                             "select 'client " + number + " ' || ?::text")) {
                        for (int turn = 0; turn < 25; turn++) {
                            product.setInt(1, turn);
                            try (ResultSet row = product.executeQuery()) {
                                row.next();
                                equal(turn * number, row.getInt(1));
                                pids.add(row.getInt(2));
                            }
                            connection.commit();
                            label.setString(1, "t" + turn);
                            try (ResultSet row = label.executeQuery()) {
                                row.next();
                                equal("client " + number + " t" + turn, row.getString(1));
                            }
                            connection.commit();
                        }
                    }
                }
                return null;
            };
            clients.add(THREADS.submit(client));
        }
        for (Future<Void> client : clients) {
            client.get(50, TimeUnit.SECONDS);
        }
        if (LINKS_CHANGE && pids.size() < 2) {
            throw new AssertionError("every transaction ran on the same connection");
        }
    }

    static void statementCacheOverflow() throws Exception {
        try (Connection connection = connect("prepareThreshold", "1",
                                             "preparedStatementCacheQueries", "5")) {
            for (int turn = 0; turn < 3; turn++) {
                for (int n = 0; n < 20; n++) {
                    try (PreparedStatement statement =
                             connection.prepareStatement("select " + n + " + ?::int")) {
                        statement.setInt(1, turn);
                        try (ResultSet row = statement.executeQuery()) {
                            row.next();
                            equal(n + turn, row.getInt(1));
                        }
                    }
                }
            }
        }
    }

    static void cursor() throws Exception {
        try (Connection connection = connect()) {
            connection.setAutoCommit(false);
            for (int turn = 0; turn < 8; turn++) {
                try (PreparedStatement statement = connection.prepareStatement(
                         "select n from generate_series(1, 1000) n")) {
                    statement.setFetchSize(90);
                    int expected = 1;
                    try (ResultSet rows = statement.executeQuery()) {
                        while (rows.next()) {
                            equal(expected++, rows.getInt(1));
                        }
                    }
                    equal(1001, expected);
                }
                connection.commit();
            }
        }
    }

    static void batches() throws Exception {
        for (String rewrite : new String[] {"false", "true"}) {
            try (Connection connection = connect("reWriteBatchedInserts", rewrite)) {
                connection.setAutoCommit(false);
                try (Statement statement = connection.createStatement()) {
                    statement.execute("create temp table batched (n int, t text) on commit drop");
                }
                try (PreparedStatement insert =
                         connection.prepareStatement("insert into batched values (?, ?)")) {
                    for (int n = 0; n < 3000; n++) {
                        insert.setInt(1, n);
                        insert.setString(2, "row " + n);
                        insert.addBatch();
                    }
                    insert.executeBatch();
                }
                try (Statement statement = connection.createStatement();
                     ResultSet row = statement.executeQuery("select count(*) from batched")) {
                    row.next();
                    equal(3000, row.getInt(1));
                }
                connection.commit();
            }
        }
    }

    static void batchWithAnError() throws Exception {
        try (Connection connection = connect("prepareThreshold", "1");
             PreparedStatement statement = connection.prepareStatement("select 10 / ?::int")) {
            for (int turn = 0; turn < 3; turn++) {
                for (int n = 3; n >= -3; n--) {
                    statement.setInt(1, n);
                    if (n == 0) {
                        fails("22012", statement::executeQuery);
                    } else {
                        statement.executeQuery().close();
                    }
                }
            }
        }
    }

    static void copyBothWays() throws Exception {
        try (Connection connection = connect()) {
            connection.setAutoCommit(false);
            CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
            try (Statement statement = connection.createStatement()) {
                statement.execute("create temp table copied (n int, t text) on commit drop");
            }
            StringBuilder lines = new StringBuilder();
            for (int n = 0; n < 20000; n++) {
                lines.append(n).append("\trow ").append(n).append('\n');
            }
            equal(20000, copies.copyIn("copy copied from stdin",
                                       new StringReader(lines.toString())));
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            copies.copyOut("copy (select * from copied order by n) to stdout", out);
            equal(lines.toString(), out.toString(StandardCharsets.UTF_8));
            fails("22P02", () -> copies.copyIn("copy copied from stdin", new StringReader("x\ty\n")));
            connection.rollback();
        }
    }

    static void errorsAndRecovery() throws Exception {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            String[][] cases = {{"select 1/0", "22012"}, {"selec", "42601"},
                {"select * from missing_table", "42P01"}};
            for (String[] each : cases) {
                fails(each[1], () -> statement.execute(each[0]));
                fails("25P02", () -> statement.execute("select 1"));
                connection.rollback();
            }
            statement.execute("create temp table kept (n int) on commit drop");
            Savepoint savepoint = connection.setSavepoint();
            fails("22012", () -> statement.execute("insert into kept values (1/0)"));
            connection.rollback(savepoint);
            statement.execute("insert into kept values (1)");
            connection.commit();
        }
    }

    static void autosave() throws Exception {
        try (Connection connection = connect("autosave", "always", "prepareThreshold", "1");
             Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            for (int turn = 0; turn < 3; turn++) {
                fails("22012", () -> statement.execute("select 1/0"));
                statement.execute("select 1");
            }
            connection.commit();
        }
    }

    /** The driver prepares anew what a server refuses because its table has changed. */
    static void tableChanges() throws Exception {
        String table = "changing_" + ProcessHandle.current().pid();
        try (Connection connection = connect("prepareThreshold", "1");
             Statement statement = connection.createStatement()) {
            statement.execute("create table " + table + " (a int)");
            try (PreparedStatement all = connection.prepareStatement("select * from " + table)) {
                for (int columns = 1; columns < 5; columns++) {
                    for (int turn = 0; turn < 3; turn++) {
                        try (ResultSet rows = all.executeQuery()) {
                            equal(columns, rows.getMetaData().getColumnCount());
                        }
                    }
                    statement.execute("alter table " + table + " add column b" + columns + " int");
                }
            } finally {
                statement.execute("drop table " + table);
            }
        }
    }

    static void simpleQueryMode() throws Exception {
        try (Connection connection = connect("preferQueryMode", "simple");
             PreparedStatement statement = connection.prepareStatement("select ?::int, ?::text")) {
            for (int n = 0; n < 20; n++) {
                statement.setInt(1, n);
                statement.setString(2, "it's " + n);
                try (ResultSet row = statement.executeQuery()) {
                    row.next();
                    equal(n, row.getInt(1));
                    equal("it's " + n, row.getString(2));
                }
            }
        }
    }

    static void cancel() throws Exception {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            for (int turn = 0; turn < 2; turn++) {
                statement.setQueryTimeout(1);
                fails("57014", () -> statement.execute("select pg_sleep(30)"));
                statement.setQueryTimeout(0);
                statement.execute("select 1");
            }
        }
    }

    static void notices() throws Exception {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            statement.execute("do $$ begin raise notice 'one'; raise warning 'two'; end $$");
            equal("one", statement.getWarnings().getMessage());
            equal("two", statement.getWarnings().getNextWarning().getMessage());
        }
    }

    static void notificationsToItself() throws Exception {
        if (MODE.equals("transaction")) {
            return;                         // LISTEN belongs to the server connection there
        }
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            statement.execute("listen bell");
            statement.execute("notify bell, 'rung'");
            equal("rung", connection.unwrap(PGConnection.class).getNotifications(10000)[0]
                .getParameter());
        }
    }

    static void metadata() throws Exception {
        try (Connection connection = connect();
             ResultSet tables = connection.getMetaData().getTables(null, "pg_catalog", "pg_cl%",
                                                                   null)) {
            boolean found = false;
            while (tables.next()) {
                found |= tables.getString("TABLE_NAME").equals("pg_class");
            }
            equal(true, found);
        }
    }

    static void largeValues() throws Exception {
        byte[] data = new byte[10_000_000];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) i;
        }
        try (Connection connection = connect();
             PreparedStatement statement = connection.prepareStatement("select ?::bytea")) {
            statement.setBytes(1, data);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                equal(true, Arrays.equals(data, row.getBytes(1)));
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Check> checks = new LinkedHashMap<>();
        checks.put("values", Jdbc::values);
        checks.put("prepared across transactions", Jdbc::preparedAcrossTransactions);
        checks.put("statement cache overflow", Jdbc::statementCacheOverflow);
        checks.put("cursor", Jdbc::cursor);
        checks.put("batches", Jdbc::batches);
        checks.put("batch with an error", Jdbc::batchWithAnError);
        checks.put("copy both ways", Jdbc::copyBothWays);
        checks.put("errors and recovery", Jdbc::errorsAndRecovery);
        checks.put("autosave", Jdbc::autosave);
        checks.put("table changes", Jdbc::tableChanges);
        checks.put("simple query mode", Jdbc::simpleQueryMode);
        checks.put("cancel", Jdbc::cancel);
        checks.put("notices", Jdbc::notices);
        checks.put("notifications to itself", Jdbc::notificationsToItself);
        checks.put("metadata", Jdbc::metadata);
        checks.put("large values", Jdbc::largeValues);
        int failures = 0;
        for (Map.Entry<String, Check> check : checks.entrySet()) {
            Future<Void> done = THREADS.submit(() -> {
                check.getValue().run();
                return null;
            });
            try {
                done.get(70, TimeUnit.SECONDS);
                System.out.println("ok " + check.getKey());
            } catch (Exception error) {
                failures++;
                Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
                cause.printStackTrace();
                System.out.println("not ok " + check.getKey() + ": "
                    + String.valueOf(cause).replaceAll("\\s+", " "));
            }
        }
        System.out.println("1.." + checks.size());
        System.exit(failures == 0 ? 0 : 1);
    }
}
