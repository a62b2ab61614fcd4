// pgjdbc as a user who says whose each transaction is, by a comment or by a setting behind BEGIN.
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

public class JdbcTenants {
    static final String WHOSE = "select current_setting('app.tenant_id')";

    static Connection connect(String user, String threshold) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", user);
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("sslmode", System.getenv("PGSSLMODE"));
        properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        properties.setProperty("prepareThreshold", threshold);
        // Else it says SET extra_float_digits before anything is said of a tenant.
        properties.setProperty("assumeMinServerVersion", "9.0");
        properties.setProperty("loginTimeout", "20");
        properties.setProperty("socketTimeout", "60");
        Connection connection = DriverManager.getConnection(
            "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
            + System.getenv("PGDATABASE"), properties);
        connection.setAutoCommit(false);
        return connection;
    }

    static String value(Connection connection, String text) throws SQLException {
        try (var statement = connection.prepareStatement(text);
             ResultSet row = statement.executeQuery()) {
            row.next();
            return row.getString(1);
        }
    }

    static void says(Connection connection, String how, String who) throws SQLException {
        if (how.equals("comment")) {
            String got = value(connection, "/* tenant=" + who + " */ " + WHOSE);
            if (!got.equals(who)) throw new AssertionError(got);
        } else {
            try (var statement = connection.prepareStatement(how.replace("WHO", who))) {
                if (how.contains("?")) statement.setString(1, who);
                statement.execute();
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        int checks = 0;
        for (int i = 0; i < arguments.length; i++) {
            for (String threshold : new String[] {"0", "1", "2", "5"}) {
                try (Connection connection = connect(System.getenv("PGUSER"), threshold)) {
                    for (int turn = 0; turn < 24; turn++) {
                        String who = turn % 3 == 1 ? "2" : "1";
                        connection.setReadOnly(turn % 4 == 3);
                        says(connection, arguments[i], who);
                        String got = value(connection, WHOSE);
                        if (!got.equals(who)) throw new AssertionError(got + " is not " + who);
                        if (turn % 2 == 0) connection.commit(); else connection.rollback();
                    }
                    try {
                        value(connection, WHOSE);
                        throw new AssertionError("nothing said whose it was");
                    } catch (SQLException error) {
                        if (!"42501".equals(error.getSQLState())) throw error;
                    }
                }
                System.out.println("ok " + ++checks + " - " + arguments[i] + ", " + threshold);
            }
        }
        System.out.println("1.." + checks);
    }
}
