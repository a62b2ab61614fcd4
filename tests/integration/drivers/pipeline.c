// libpq's pipeline mode (and what else libpq can put on the wire), against the server in the PG*
// variables. One line for each check: "ok NAME" or "not ok NAME: why".
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char why[1024];
static int links_change;

#define FAIL(...)                                  \
    do {                                           \
        snprintf(why, sizeof why, __VA_ARGS__);    \
        return 0;                                  \
    } while (0)
#define NEED(condition)                                                              \
    do {                                                                             \
        if (!(condition)) FAIL("line %d: %s: %s", __LINE__, #condition, PQerrorMessage(conn)); \
    } while (0)
#define NEXT(expected)                                                               \
    do {                                                                             \
        if (!next_is(conn, (expected), __LINE__)) return 0;                          \
    } while (0)

// The last result that was taken; freed by the next one.
static PGresult* last;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Takes the next result as it comes, within 30 s; null at the end of a statement's results.
static int take(PGconn* conn, PGresult** result) {
    const double end = now() + 30;
    while (PQisBusy(conn)) {
        const int flushed = PQflush(conn);
        struct pollfd fd = {PQsocket(conn), (short)(POLLIN | (flushed > 0 ? POLLOUT : 0)), 0};
        if (now() > end) FAIL("no answer within 30 s");
        if (poll(&fd, 1, 1000) > 0 && (fd.revents & (POLLIN | POLLHUP | POLLERR)) &&
            !PQconsumeInput(conn)) {
            FAIL("connection lost: %s", PQerrorMessage(conn));
        }
    }
    *result = PQgetResult(conn);
    return 1;
}

// -1 stands for the null that ends a statement's results.
static int next_is(PGconn* conn, int expected, int line) {
    PQclear(last);
    last = NULL;
    if (!take(conn, &last)) return 0;
    const int got = last ? (int)PQresultStatus(last) : -1;
    if (got != expected) {
        FAIL("line %d: expected %s, got %s: %s", line,
             expected < 0 ? "null" : PQresStatus((ExecStatusType)expected),
             got < 0 ? "null" : PQresStatus((ExecStatusType)got),
             last ? PQresultErrorMessage(last) : "");
    }
    return 1;
}

static int value_is(PGconn* conn, const char* expected) {
    NEED(last && PQntuples(last) == 1);
    if (strcmp(PQgetvalue(last, 0, 0), expected) != 0) {
        FAIL("expected %s, got %s", expected, PQgetvalue(last, 0, 0));
    }
    return 1;
}

static int send_select(PGconn* conn, const char* sql, const char* value) {
    const char* values[] = {value};
    return PQsendQueryParams(conn, sql, value ? 1 : 0, NULL, values, NULL, NULL, 0);
}

static int many_syncs_in_flight(PGconn* conn) {
    enum { kCount = 200 };
    char text[32];
    NEED(PQenterPipelineMode(conn));
    NEED(PQsendPrepare(conn, "counted", "select $1::int", 0, NULL));
    for (int i = 0; i < kCount; i++) {
        const char* values[] = {text};
        snprintf(text, sizeof text, "%d", i);
        NEED(PQsendQueryPrepared(conn, "counted", 1, values, NULL, NULL, 0));
        NEED(PQpipelineSync(conn));
    }
    NEXT(PGRES_COMMAND_OK);
    NEXT(-1);
    for (int i = 0; i < kCount; i++) {
        snprintf(text, sizeof text, "%d", i);
        NEXT(PGRES_TUPLES_OK);
        if (!value_is(conn, text)) return 0;
        NEXT(-1);
        NEXT(PGRES_PIPELINE_SYNC);
    }
    NEED(PQexitPipelineMode(conn));
    return 1;
}

static int flush_without_sync(PGconn* conn) {
    NEED(PQenterPipelineMode(conn));
    for (int i = 0; i < 10; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d", i);
        NEED(send_select(conn, "select $1::int", text));
        NEED(PQsendFlushRequest(conn));
        NEXT(PGRES_TUPLES_OK);
        if (!value_is(conn, text)) return 0;
        NEXT(-1);
    }
    NEED(PQpipelineSync(conn));
    NEXT(PGRES_PIPELINE_SYNC);
    NEED(PQexitPipelineMode(conn));
    return 1;
}

static int errors_in_the_middle(PGconn* conn) {
    NEED(PQenterPipelineMode(conn));
    for (int i = 0; i < 20; i++) {
        NEED(send_select(conn, "select $1::int", "1"));
        NEED(send_select(conn, "select 1 / $1::int", "0"));
        NEED(send_select(conn, "select $1::int", "3"));
        NEED(PQpipelineSync(conn));
        NEED(send_select(conn, "select $1::int", "4"));
        NEED(PQpipelineSync(conn));
    }
    for (int i = 0; i < 20; i++) {
        NEXT(PGRES_TUPLES_OK);
        if (!value_is(conn, "1")) return 0;
        NEXT(-1);
        NEXT(PGRES_FATAL_ERROR);
        NEED(strcmp(PQresultErrorField(last, PG_DIAG_SQLSTATE), "22012") == 0);
        NEXT(-1);
        NEXT(PGRES_PIPELINE_ABORTED);
        NEXT(-1);
        NEXT(PGRES_PIPELINE_SYNC);
        NEXT(PGRES_TUPLES_OK);
        if (!value_is(conn, "4")) return 0;
        NEXT(-1);
        NEXT(PGRES_PIPELINE_SYNC);
    }
    NEED(PQexitPipelineMode(conn));
    return 1;
}

static int failed_parse_in_a_pipeline(PGconn* conn) {
    for (int i = 0; i < 5; i++) {
        NEED(PQenterPipelineMode(conn));
        NEED(PQsendPrepare(conn, "doubtful", "selec wrong", 0, NULL));
        NEED(PQsendPrepare(conn, "skipped", "select 1", 0, NULL));
        NEED(PQpipelineSync(conn));
        // The name is free: its Parse failed.
        NEED(PQsendPrepare(conn, "doubtful", "select 5", 0, NULL));
        NEED(PQsendQueryPrepared(conn, "doubtful", 0, NULL, NULL, NULL, 0));
        NEED(PQpipelineSync(conn));
        // And this one was skipped.
        NEED(PQsendQueryPrepared(conn, "skipped", 0, NULL, NULL, NULL, 0));
        NEED(PQpipelineSync(conn));
        NEXT(PGRES_FATAL_ERROR);
        NEED(strcmp(PQresultErrorField(last, PG_DIAG_SQLSTATE), "42601") == 0);
        NEXT(-1);
        NEXT(PGRES_PIPELINE_ABORTED);
        NEXT(-1);
        NEXT(PGRES_PIPELINE_SYNC);
        NEXT(PGRES_COMMAND_OK);
        NEXT(-1);
        NEXT(PGRES_TUPLES_OK);
        if (!value_is(conn, "5")) return 0;
        NEXT(-1);
        NEXT(PGRES_PIPELINE_SYNC);
        NEXT(PGRES_FATAL_ERROR);
        NEED(strcmp(PQresultErrorField(last, PG_DIAG_SQLSTATE), "26000") == 0);
        NEXT(-1);
        NEXT(PGRES_PIPELINE_SYNC);
        NEED(PQexitPipelineMode(conn));
        PQclear(PQexec(conn, "deallocate doubtful"));
    }
    return 1;
}

static int describe(PGconn* conn) {
    NEED(PQenterPipelineMode(conn));
    NEED(PQsendPrepare(conn, "described", "select $1::int as a, $2::text as b", 0, NULL));
    NEED(PQsendDescribePrepared(conn, "described"));
    NEED(PQpipelineSync(conn));
    NEED(PQsendDescribePrepared(conn, "described"));
    NEED(PQpipelineSync(conn));
    NEED(PQsendDescribePrepared(conn, "never made"));
    NEED(PQpipelineSync(conn));
    NEXT(PGRES_COMMAND_OK);
    NEXT(-1);
    for (int i = 0; i < 2; i++) {
        NEXT(PGRES_COMMAND_OK);
        NEED(PQnparams(last) == 2 && PQparamtype(last, 0) == 23 && PQparamtype(last, 1) == 25);
        NEED(PQnfields(last) == 2 && strcmp(PQfname(last, 1), "b") == 0);
        NEXT(-1);
        NEXT(PGRES_PIPELINE_SYNC);
    }
    NEXT(PGRES_FATAL_ERROR);
    NEED(strcmp(PQresultErrorField(last, PG_DIAG_SQLSTATE), "26000") == 0);
    NEXT(-1);
    NEXT(PGRES_PIPELINE_SYNC);
    NEED(PQexitPipelineMode(conn));
    return 1;
}

static int cursors_in_a_pipeline(PGconn* conn) {
    NEED(PQenterPipelineMode(conn));
    NEED(send_select(conn, "begin", NULL));
    NEED(send_select(conn, "declare c cursor for select n from generate_series(1, 25) n", NULL));
    for (int i = 0; i < 3; i++) {
        NEED(send_select(conn, "fetch 10 from c", NULL));
    }
    NEED(PQsendDescribePortal(conn, "c"));
    NEED(send_select(conn, "commit", NULL));
    NEED(PQpipelineSync(conn));
    NEXT(PGRES_COMMAND_OK);
    NEXT(-1);
    NEXT(PGRES_COMMAND_OK);
    NEXT(-1);
    for (int i = 0; i < 3; i++) {
        NEXT(PGRES_TUPLES_OK);
        NEED(PQntuples(last) == (i < 2 ? 10 : 5));
        NEXT(-1);
    }
    NEXT(PGRES_COMMAND_OK);
    NEED(PQnfields(last) == 1);
    NEXT(-1);
    NEXT(PGRES_COMMAND_OK);
    NEXT(-1);
    NEXT(PGRES_PIPELINE_SYNC);
    NEED(PQexitPipelineMode(conn));
    return 1;
}

static int single_row_mode(PGconn* conn) {
    NEED(PQenterPipelineMode(conn));
    NEED(send_select(conn, "select generate_series(1, $1::int)", "500"));
    NEED(send_select(conn, "select $1::int", "7"));
    NEED(PQpipelineSync(conn));
    NEED(PQsetSingleRowMode(conn));
    for (int i = 0; i < 500; i++) {
        NEXT(PGRES_SINGLE_TUPLE);
    }
    NEXT(PGRES_TUPLES_OK);
    NEXT(-1);
    NEXT(PGRES_TUPLES_OK);
    if (!value_is(conn, "7")) return 0;
    NEXT(-1);
    NEXT(PGRES_PIPELINE_SYNC);
    NEED(PQexitPipelineMode(conn));
    return 1;
}

static int transactions_in_a_pipeline(PGconn* conn) {
    NEED(PQenterPipelineMode(conn));
    NEED(send_select(conn, "begin", NULL));
    NEED(send_select(conn, "create temp table piped (n int) on commit drop", NULL));
    NEED(PQpipelineSync(conn));
    NEED(send_select(conn, "insert into piped values ($1::int)", "1"));
    NEED(PQpipelineSync(conn));
    NEED(send_select(conn, "insert into piped values (1 / $1::int)", "0"));
    NEED(PQpipelineSync(conn));
    NEED(send_select(conn, "select 1", NULL));
    NEED(PQpipelineSync(conn));
    NEED(send_select(conn, "rollback", NULL));
    NEED(PQpipelineSync(conn));
    NEXT(PGRES_COMMAND_OK);
    NEXT(-1);
    NEXT(PGRES_COMMAND_OK);
    NEXT(-1);
    NEXT(PGRES_PIPELINE_SYNC);
    NEXT(PGRES_COMMAND_OK);
    NEXT(-1);
    NEXT(PGRES_PIPELINE_SYNC);
    NEXT(PGRES_FATAL_ERROR);
    NEXT(-1);
    NEXT(PGRES_PIPELINE_SYNC);
    NEXT(PGRES_FATAL_ERROR);
    NEED(strcmp(PQresultErrorField(last, PG_DIAG_SQLSTATE), "25P02") == 0);
    NEXT(-1);
    NEXT(PGRES_PIPELINE_SYNC);
    NEXT(PGRES_COMMAND_OK);
    NEXT(-1);
    NEXT(PGRES_PIPELINE_SYNC);
    NEED(PQexitPipelineMode(conn));
    NEED(PQtransactionStatus(conn) == PQTRANS_IDLE);
    return 1;
}

static int closing_statements(PGconn* conn) {
    // libpq 15 has no Close; DEALLOCATE in the pipeline does the same job.
    for (int i = 0; i < 10; i++) {
        NEED(PQenterPipelineMode(conn));
        NEED(PQsendPrepare(conn, "closed", i % 2 ? "select 'odd'" : "select 'even'", 0, NULL));
        NEED(PQsendQueryPrepared(conn, "closed", 0, NULL, NULL, NULL, 0));
        NEED(send_select(conn, i % 3 ? "deallocate closed" : "deallocate all", NULL));
        NEED(PQpipelineSync(conn));
        NEXT(PGRES_COMMAND_OK);
        NEXT(-1);
        NEXT(PGRES_TUPLES_OK);
        if (!value_is(conn, i % 2 ? "odd" : "even")) return 0;
        NEXT(-1);
        NEXT(PGRES_COMMAND_OK);
        NEXT(-1);
        NEXT(PGRES_PIPELINE_SYNC);
        NEED(PQexitPipelineMode(conn));
    }
    return 1;
}

static int copy_between_pipelines(PGconn* conn) {
    for (int i = 0; i < 3; i++) {
        NEED(PQenterPipelineMode(conn));
        NEED(send_select(conn, "select $1::int", "1"));
        NEED(PQpipelineSync(conn));
        NEXT(PGRES_TUPLES_OK);
        NEXT(-1);
        NEXT(PGRES_PIPELINE_SYNC);
        NEED(PQexitPipelineMode(conn));

        PQclear(PQexec(conn, "begin"));
        PQclear(PQexec(conn, "create temp table copied (t text) on commit drop"));
        PGresult* result = PQexec(conn, "copy copied from stdin");
        NEED(PQresultStatus(result) == PGRES_COPY_IN);
        PQclear(result);
        for (int line = 0; line < 10000; line++) {
            NEED(PQputCopyData(conn, "some text\n", 10) == 1);
        }
        NEED(PQputCopyEnd(conn, i == 2 ? "enough" : NULL) == 1);
        NEXT(i == 2 ? PGRES_FATAL_ERROR : PGRES_COMMAND_OK);
        NEXT(-1);
        if (i < 2) {
            result = PQexec(conn, "copy copied to stdout");
            NEED(PQresultStatus(result) == PGRES_COPY_OUT);
            PQclear(result);
            char* line;
            int lines = 0;
            while (PQgetCopyData(conn, &line, 0) > 0) {
                PQfreemem(line);
                lines++;
            }
            NEED(lines == 10000);
            NEXT(PGRES_COMMAND_OK);
            NEXT(-1);
        }
        PQclear(PQexec(conn, "rollback"));
    }
    return 1;
}

static int large_parameters(PGconn* conn) {
    enum { kSize = 4 * 1024 * 1024 };
    char* data = malloc(kSize + 1);
    memset(data, 'x', kSize);
    data[kSize] = 0;
    NEED(PQenterPipelineMode(conn));
    NEED(PQsetnonblocking(conn, 1) == 0);
    for (int i = 0; i < 5; i++) {
        NEED(send_select(conn, "select length($1::text)", data));
        NEED(PQpipelineSync(conn));
    }
    free(data);
    for (int i = 0; i < 5; i++) {
        NEXT(PGRES_TUPLES_OK);
        if (!value_is(conn, "4194304")) return 0;
        NEXT(-1);
        NEXT(PGRES_PIPELINE_SYNC);
    }
    NEED(PQsetnonblocking(conn, 0) == 0);
    NEED(PQexitPipelineMode(conn));
    return 1;
}

static int binary_results(PGconn* conn) {
    const Oid types[] = {23};
    const char value[] = {0, 0, 1, 2};
    const char* values[] = {value};
    const int lengths[] = {4}, formats[] = {1};
    PGresult* result = PQexecParams(conn, "select $1::int4", 1, types, values, lengths, formats, 1);
    NEED(PQresultStatus(result) == PGRES_TUPLES_OK && PQgetlength(result, 0, 0) == 4);
    NEED(memcmp(PQgetvalue(result, 0, 0), value, 4) == 0);
    PQclear(result);
    return 1;
}

static int function_call(PGconn* conn) {
    int big = 0, length = 0;
    PQArgBlock argument = {.len = 4, .isint = 1, .u.integer = -42};
    for (int i = 0; i < 5; i++) {
        PGresult* result = PQfn(conn, 1397, &big, &length, 1, &argument, 1);  // int4abs
        NEED(PQresultStatus(result) == PGRES_COMMAND_OK && big == 42 && length == 4);
        PQclear(result);
    }
    return 1;
}

static int links_really_change(PGconn* conn) {
    char first[32] = "";
    if (!links_change) return 1;
    for (int i = 0; i < 500; i++) {
        PGresult* result = PQexec(conn, "select pg_backend_pid()");
        NEED(PQresultStatus(result) == PGRES_TUPLES_OK);
        if (!first[0]) snprintf(first, sizeof first, "%s", PQgetvalue(result, 0, 0));
        const int changed = strcmp(first, PQgetvalue(result, 0, 0)) != 0;
        PQclear(result);
        if (changed) return 1;
    }
    FAIL("500 transactions ran on the same connection");
}

static const struct {
    const char* name;
    int (*run)(PGconn*);
} checks[] = {
    {"many syncs in flight", many_syncs_in_flight},
    {"flush without sync", flush_without_sync},
    {"errors in the middle", errors_in_the_middle},
    {"failed parse in a pipeline", failed_parse_in_a_pipeline},
    {"describe", describe},
    {"cursors in a pipeline", cursors_in_a_pipeline},
    {"single row mode", single_row_mode},
    {"transactions in a pipeline", transactions_in_a_pipeline},
    {"closing statements", closing_statements},
    {"copy between pipelines", copy_between_pipelines},
    {"large parameters", large_parameters},
    {"binary results", binary_results},
    {"function call", function_call},
    {"links really change", links_really_change},
};

int main(void) {
    const int count = (int)(sizeof checks / sizeof checks[0]);
    int failures = 0;
    const char* change = getenv("LAB_LINKS_CHANGE");
    links_change = change && strcmp(change, "1") == 0;
    for (int i = 0; i < count; i++) {
        PGconn* conn = PQconnectdb("");
        int ok = PQstatus(conn) == CONNECTION_OK;
        if (!ok) snprintf(why, sizeof why, "%s", PQerrorMessage(conn));
        ok = ok && checks[i].run(conn);
        for (char* c = why; *c; c++) {
            if (*c == '\n') *c = ' ';
        }
        if (ok) {
            printf("ok %s\n", checks[i].name);
        } else {
            printf("not ok %s: %s\n", checks[i].name, why);
            failures++;
        }
        PQclear(last);
        last = NULL;
        PQfinish(conn);
    }
    printf("1..%d\n", count);
    return failures != 0;
}
