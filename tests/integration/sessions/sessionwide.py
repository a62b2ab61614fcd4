"""State of a whole session, notifications, cancel, and what a login looks like."""

from lab import messages as m
from lab.recorder import Recorder, session

SESSION = ("session",)


@session()
def login_only(r: Recorder) -> None:
    """The set of ParameterStatus messages, BackendKeyData, ReadyForQuery."""


@session(startup={"application_name": "recorder", "client_encoding": "LATIN1",
                  "datestyle": "German", "timezone": "Asia/Tokyo"})
def login_with_reported_parameters(r: Recorder) -> None:
    r.query("show application_name; show client_encoding; show datestyle; show timezone")
    r.query("select '2024-02-29'::date, 'é'")


@session(startup={"options": "-c statement_timeout=12345 -c search_path=pg_catalog,public",
                  "extra_float_digits": "2", "work_mem": "8MB"})
def login_with_other_parameters(r: Recorder) -> None:
    for _ in range(4):
        r.query("show statement_timeout; show search_path; show extra_float_digits; show work_mem")


@session(startup={"options": "-c work_mem=3MB", "datestyle": "SQL, DMY"})
def reset_goes_back_to_the_login(r: Recorder) -> None:
    r.query("begin; set local work_mem = '9MB'; set local datestyle = 'ISO'")
    r.query("show work_mem; show datestyle")
    r.query("reset work_mem; reset datestyle; show work_mem; show datestyle")
    r.query("commit")


@session(modes=SESSION, startup={"options": "-c work_mem=3MB", "datestyle": "SQL, DMY"})
def discard_goes_back_to_the_login(r: Recorder) -> None:
    r.query("set work_mem = '9MB'; set datestyle = 'ISO'")
    r.query("discard all")
    r.query("show work_mem; show datestyle")


@session(modes=SESSION)
def settings_stay(r: Recorder) -> None:
    r.query("set work_mem = '9MB'")
    r.query("set datestyle = 'German'")
    r.query("set session characteristics as transaction read only")
    r.query("insert into empty_table values (1, 'x')")
    r.query("show work_mem; show datestyle")
    r.query("reset all")
    r.query("show work_mem; show datestyle")


@session(modes=SESSION)
def settings_are_rolled_back(r: Recorder) -> None:
    r.query("begin")
    r.query("set timezone = 'Asia/Tokyo'")
    r.query("savepoint s")
    r.query("set timezone = 'Europe/Vienna'")
    r.query("rollback to s")
    r.query("show timezone")
    r.query("rollback")
    r.query("show timezone")


@session(modes=SESSION)
def temporary_tables(r: Recorder) -> None:
    r.query("create temp table mine (n int)")
    r.query("insert into mine values (1)")
    r.query("select n + 0 from mine")
    r.query("discard temp")
    r.query("select count(*) from mine")


@session(modes=SESSION)
def advisory_locks(r: Recorder) -> None:
    r.query("select pg_advisory_lock(42)")
    r.query("select pg_try_advisory_lock(42), pg_advisory_unlock(42), pg_advisory_unlock(42)")
    r.query("select pg_advisory_unlock(42)")


@session()
def advisory_locks_of_a_transaction(r: Recorder) -> None:
    r.query("begin")
    r.query("select pg_advisory_xact_lock(43), pg_try_advisory_xact_lock(43)")
    r.query("commit")


@session(modes=SESSION)
def notified_by_itself(r: Recorder) -> None:
    r.query("listen bell")
    r.query("notify bell")
    r.query("notify bell, 'payload with ''quotes'''")
    r.query("begin; notify bell, 'one'; notify bell, 'two'; notify bell, 'one'")
    r.query("commit")
    r.query("begin; notify bell, 'never'; rollback")
    r.sync(m.parse("", "select pg_notify($1, $2)"), m.bind("", "", ["bell", "extended"]),
           m.execute(""))
    r.query("unlisten bell")
    r.query("notify bell")


@session(modes=SESSION)
def notified_by_another_while_idle(r: Recorder) -> None:
    r.query("listen bell")
    r.postgres.rows("select pg_notify('bell', 'from elsewhere')", "app")
    r.until(b"A")
    r.query("select 1")


@session(modes=SESSION)
def parameter_changes_while_idle(r: Recorder) -> None:
    r.query("set application_name = 'one'")
    r.query("set application_name = 'two'; set application_name = 'three'")
    r.query("select set_config('application_name', 'four', false)")
    r.query("select set_config('application_name', 'five', true)")


@session()
def cancelled(r: Recorder) -> None:
    for _ in range(3):
        r.send(m.query("select pg_sleep(600) as long_sleep"))
        r.wait_for_activity("select pg_sleep(600) as long_sleep")
        r.cancel()
        r.ready()
        r.query("select 1")


@session()
def cancelled_in_a_transaction(r: Recorder) -> None:
    r.query("begin")
    r.send(m.parse("", "select pg_sleep(601)"), m.bind("", ""), m.execute(""), m.sync())
    r.wait_for_activity("select pg_sleep(601)")
    r.cancel()
    r.ready()
    r.query("select 1")
    r.query("rollback")


@session()
def cancelled_in_a_pipeline(r: Recorder) -> None:
    r.send(m.parse("", "select pg_sleep(602)"), m.bind("", ""), m.execute(""), m.sync(),
           m.parse("", "select 'after'"), m.bind("", ""), m.execute(""), m.sync())
    r.wait_for_activity("select pg_sleep(602)")
    r.cancel()
    r.ready(2)


@session()
def statement_timeout(r: Recorder) -> None:
    r.query("begin")
    r.query("set local statement_timeout = 50")
    r.query("select pg_sleep(10)")
    r.query("rollback")


@session()
def bad_message_bodies(r: Recorder) -> None:
    """Well-framed messages whose insides are wrong: an ERROR, and the session goes on."""
    r.send(m.message(b"Q", b"select 1")).ready()                            # no final zero
    r.send(m.message(b"Q", b"select 1\0select 2\0")).ready()
    r.sync(m.message(b"P", b"\0select 1\0"))                                # no count
    r.sync(m.message(b"P", b"\0select 1\0\0\1"))                            # a type is missing
    r.sync(m.message(b"B", b"\0\0\0\0\0\0\0"))
    r.sync(m.message(b"B", b"\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"))            # length -2
    r.sync(m.message(b"B", b"\0\0\0\0\0\1\x7f\xff\xff\xff\0\0"))
    r.sync(m.message(b"D", b"X\0"))                                         # neither S nor P
    r.sync(m.message(b"C", b"X\0"))
    r.sync(m.message(b"E", b"\0"))
    r.query("select 'still here'")
