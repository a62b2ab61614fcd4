"""Random conversations of several clients about all that a session is: settings, transactions,
cursors, COPY, locks, large objects, notifications; and what happens around them meanwhile. The same
seed gives the same conversation."""

from __future__ import annotations

from typing import Sequence, Union

from . import messages as m
from .random_messages import Plan, Query, Say, Turn, Writer

LO_CREATE, LO_GET, INT4_ADD, NO_SUCH = 715, 3458, 177, 4_000_000_000

SHOWN = ("work_mem", "datestyle", "search_path", "role", "transaction_isolation", "timezone",
         "transaction_read_only", "default_transaction_read_only", "application_name",
         "default_transaction_isolation", "statement_timeout", "intervalstyle", "client_encoding",
         "standard_conforming_strings", "extra_float_digits", "bytea_output", "lock_timeout",
         "client_min_messages", "session_authorization", "transaction_deferrable")
VALUES = {
    "work_mem": ("'5MB'", "6000", "default", "'nonsense'", "0"),
    "datestyle": ("'German'", "'SQL, DMY'", "iso", "ISO, MDY", "default"),
    "search_path": ("pg_catalog", "public, pg_catalog", '"$user", public', "nowhere", "''"),
    "timezone": ("'Europe/Berlin'", "'UTC'", "-3", "default", "'Nowhere/None'"),
    "application_name": ("'one'", "two", "''", "default", "'a''b'"),
    "intervalstyle": ("iso_8601", "postgres_verbose", "default"),
    "extra_float_digits": ("0", "-5", "3", "default", "99"),
    "bytea_output": ("escape", "hex"),
    "standard_conforming_strings": ("off", "on", "default"),
    "default_transaction_isolation": ("'repeatable read'", "serializable", "default"),
    "default_transaction_read_only": ("on", "off"),
    "statement_timeout": ("'100s'", "0", "default", "'1h'"),
    "lock_timeout": ("'50s'", "default"),
    "client_encoding": ("'LATIN1'", "'UTF8'", "default", "'SQL_ASCII'", "'none'"),
    "client_min_messages": ("warning", "notice", "error", "default"),
    "my.own": ("'a'", "'b'", "default"),
    "role": ("tmp_reader", "none", "app", "nobody"),
    "session authorization": ("default", "app", "postgres"),
    "enable_seqscan": ("off", "on", "default"), "geqo": ("off",), "xmloption": ("document",),
    "is_superuser": ("on",), "server_version": ("'1'",), "no_such": ("1",),
    "idle_in_transaction_session_timeout": ("'1h'", "0"), "row_security": ("off", "on"),
    "check_function_bodies": ("off",), "default_toast_compression": ("pglz",),
}
LOGINS: tuple[dict[str, str], ...] = (
    {}, {}, {"application_name": "first"}, {"client_encoding": "LATIN1"}, {"datestyle": "SQL, DMY"},
    {"options": "-c work_mem=3MB -c my.own=began -c statement_timeout=90s"},
    {"options": "-c search_path=pg_catalog,public -c timezone=Asia/Tokyo",
    "extra_float_digits": "2"},
    {"options": "-c default_transaction_read_only=on"}, {"options": "-c role=tmp_reader"},
    {"options": "--intervalstyle=iso_8601 -c standard_conforming_strings=off"})
EVENTS = ("reconnect", "reconnect", "terminate", "reload", "evict")


class SessionWriter(Writer):
    """Writes about sessions, `without` some families of statements."""

    def __init__(self, seed: Union[int, str], without: Sequence[str] = (),
                 events: Sequence[str] = EVENTS) -> None:
        super().__init__(seed)
        self.events = events
        families = {
            "base": 3, "setting": 6, "transaction": 6, "shown": 3, "copy": 1, "table": 4,
            "cursor": 3, "temporary": 2, "lock": 2, "advisory": 2, "notify": 2, "large object": 1,
            "call": 1, "error": 2, "notice": 1, "big": 1, "discard": 1, "time": 2, "sequence": 1,
            "ddl": 1, "slow": 1}
        chosen = {name: weight * self.one((0, 1, 1, 3)) for name, weight in families.items()
                  if name not in without}
        chosen["table"] = chosen["transaction"] = chosen["shown"] = 3
        self.families, self.weights = list(chosen), list(chosen.values())
        self.pins = self.ddl = self.settings = True

    def plan(self) -> Plan:
        plan = super().plan()
        turns: list[Turn] = []
        for turn in plan.turns:
            if self.chance(0.15):
                who = self.random.randrange(plan.clients)
                turns.append(Turn((), self.one(self.events), who, self.one(LOGINS)))
            turns.append(turn)
        logins = tuple(self.one(LOGINS) for _ in range(plan.clients))
        return plan._replace(turns=tuple(turns), startup=False, logins=logins,
                             max_prepared=self.one((1, 3, 20)))

    def pattern(self) -> list[Say]:
        family = self.random.choices(self.families, self.weights)[0]
        if family == "call":
            return [Say("function_call", self.one((
                (INT4_ADD, ("1", "2")), (INT4_ADD, ("1",)), (NO_SUCH, ()), (INT4_ADD, ("x", "1")),
                (LO_GET, (str(7000 + self.client),)))))]
        if family == "copy" and self.chance(0.5):
            return [Say("parse", ("", self.copying(), ())), Say("bind", ("", "", ())),
                    Say("execute", ("", 0)), *self.copied()]
        return super().pattern()

    def salvo(self) -> list[Say]:
        if "copy" in self.families and self.chance(0.1):
            text = self.copying()
            if self.chance(0.3):
                text = f"select 1; {text}; select 2"
            return [Say("query", (text,)), *self.copied()]
        return super().salvo()

    def copying(self) -> str:
        t = f"t{self.client}"
        return self.one((f"copy {t} from stdin", f"copy {t} (a) from stdin", "copy none from stdin",
                         f"copy {t} from stdin (format csv)", "select 1"))

    def copied(self) -> list[Say]:
        pieces = (b"1\tx\n", b"2\n", b"5,y\n", b"x" * 70_000 + b"\n", b"7")
        data = [Say("copy_data", (self.one(pieces),)) for _ in range(self.one((0, 1, 1, 2, 5)))]
        return [*data, Say("copy_done") if self.chance(0.8) else Say("copy_fail", ("no more",))]

    def statement(self) -> Query:
        family = self.random.choices(self.families, self.weights)[0]
        if family in ("base", "call"):
            return super().statement()
        if family == "setting" and self.chance(0.1):
            return "select set_config($1, 'German', false)", 1
        return getattr(self, "about_" + family.replace(" ", "_"))(), 0

    def about_setting(self) -> str:
        name = self.one(list(VALUES))
        value = self.one(VALUES[name])
        how = self.random.random()
        if how < 0.5 or name == "session authorization":
            return f"set {name} {self.one(('=', 'to')) if ' ' not in name else ''} {value}"
        if how < 0.65:
            return f"set local {name} = {value}"
        if how < 0.75:
            return f"reset {name}"
        if how < 0.8:
            return "reset all"
        if how < 0.9:
            text = value if value.startswith("'") else f"'{value}'"
            return f"select set_config('{name}', {text}, {self.one(('true', 'false'))})"
        return self.one((
            "set time zone interval '2 hours' hour to minute", "set time zone local",
            "set names 'LATIN1'", "set names 'utf8'", "set session work_mem = '8MB'",
            "set session characteristics as transaction read only",
            "set session characteristics as transaction read write",
            "set session characteristics as transaction isolation level repeatable read",
            "reset role", "reset session authorization", "set schema 'public'",
            "set local search_path = pg_catalog; select current_schemas(true)"))

    def about_transaction(self) -> str:
        return self.one((
            "begin", "begin", "begin read only", "begin isolation level serializable",
            "begin isolation level serializable, read only, deferrable",
            "start transaction isolation level repeatable read, read only", "commit", "commit",
            "end", "rollback", "abort", "rollback and chain", "savepoint s", "savepoint s2",
            "release s", "rollback to s", "rollback to s2", "set transaction read only",
            "set transaction read write", "set transaction isolation level repeatable read",
            "set transaction_read_only = on", "set local transaction_read_only = off",
            "set transaction snapshot '00000003-0000001B-1'",
            "commit and no chain", "commit prepared 'nobody'",
            "set constraints all deferred"))

    def about_shown(self) -> str:
        name = self.one(SHOWN)
        t = f"t{self.client}"
        return self.one((
            f"show {name}", f"select current_setting('{name}')", "select " + ", ".join(
                f"current_setting('{each}')" for each in SHOWN),
            "select current_user, session_user", "select current_schemas(true)",
            "select date '2020-02-01', interval '1 day 2 hours', 1::float8 / 3",
            "select decode('41', 'hex')",
            "select coalesce(current_setting('my.own', true), '')",
            "select name, is_holdable, statement from pg_cursors order by 1",
            "select relname from pg_class where relnamespace = pg_my_temp_schema() "
            "and relkind = 'r' order by 1",
            "select objid, mode from pg_locks where locktype = 'advisory' "
            "and pid = pg_backend_pid() order by 1, 2",
            f"select count(*), min(a), max(b) from {t}", "select 'é'",
            "select timestamptz '2020-02-01 00:00+00'"))

    def about_copy(self) -> str:
        t = f"t{self.client}"
        return self.one((f"copy {t} to stdout",
                         f"copy (select * from {t} order by a) to stdout csv",
                         "copy (select generate_series(1, 500)) to stdout",
                         "copy (select 1 / (2 - g) from generate_series(1, 3) g) to stdout",
                         "copy nothing to stdout"))

    def about_table(self) -> str:
        t = f"t{self.client}"
        return self.one((
            f"select * from {t} order by a, b", f"select count(*) from {t}",
            f"insert into {t} values (8, 'eight')",
            f"insert into {t} select g from generate_series(1, 3) g",
            f"update {t} set b = 'new' where a = 1", f"delete from {t} where a > 5",
            f"with w as (insert into {t} values (9) returning a) select * from w",
            f"insert into {t} values (1, 'x') returning *", f"select writes{self.client}()",
            f"select * from {t} order by a, b limit 1 for update",
            f"table {t} order by a, b limit 2",
            f"explain (costs off) select * from {t}", f"select a, b into u{self.client} from {t}",
            f"merge into {t} using (values (1)) v (x) on a = x when matched then delete",
            f"create table u{self.client} as select 1 as a", f"truncate {t}",
            f"select exists (select 1 from {t} where a = 8)", f"analyze {t}", f"vacuum {t}",
            f"select lag(a) over (order by a), b from {t} order by a, b"))

    def about_cursor(self) -> str:
        t = f"t{self.client}"
        return self.one((
            f"declare k cursor for select a from {t} order by a", "fetch 2 from k", "fetch all k",
            "declare k scroll cursor for values (1), (2), (3)", "fetch backward 1 from k",
            "move forward all in k", "close k", "close all", "fetch 1 from h", "close h",
            f"declare h cursor with hold for select a from {t} order by a",
            f"declare k cursor for select a from {t} for update",
            f"delete from {t} where current of k",
            "declare bk binary cursor for select 1; fetch all from bk"))

    def about_temporary(self) -> str:
        return self.one((
            "create temp table tt (a int)", "create temp table tt (a int) on commit drop",
            "create temp table tt on commit delete rows as select 1 as a",
            "insert into tt values (1)",
            "select * from tt", "drop table tt", "discard temp",
            "create temp view tv as select 1 as a",
            "select * from tv", "create temp sequence ts", "select nextval('ts')",
            "create temp table if not exists tt (a int)", "alter table tt add column b int",
            "truncate tt", "select to_regclass('tt')::text, to_regclass('pg_temp.tt') is null"))

    def about_lock(self) -> str:
        t = f"t{self.client}"
        return self.one((f"lock table {t}", f"lock table {t} in share mode nowait",
                         f"lock {t} in access share mode",
                         f"select 1 from {t} for share",
                         f"select a from {t} order by a for no key update skip locked"))

    def about_advisory(self) -> str:
        n = self.one((1, 2))
        return self.one((
            f"select pg_try_advisory_lock({n})", f"select pg_try_advisory_xact_lock({n})",
            f"select pg_advisory_unlock({n})", "select pg_advisory_unlock_all()",
            f"select pg_try_advisory_lock_shared({n})", f"select pg_advisory_unlock_shared({n})"))

    def about_notify(self) -> str:
        channel = self.one(("c", "d", '"C"'))
        return self.one((f"listen {channel}", f"unlisten {channel}", "unlisten *",
                         f"notify {channel}",
                         f"notify {channel}, 'said'", f"select pg_notify('c', 'by {self.client}')"))

    def about_large_object(self) -> str:
        number = 7000 + self.client
        return self.one((
            f"select lo_create({number})", f"select lo_unlink({number})",
            f"select lo_get({number})",
            f"select lo_put({number}, 1, 'abc')", f"select lo_open({number}, 131072)",
            "select loread(0, 10)", "select lowrite(0, 'xyz')", "select lo_close(0)",
            "select lo_lseek(0, 0, 0)", f"select lo_from_bytea({number}, 'hello')"))

    def about_error(self) -> str:
        t = f"t{self.client}"
        return self.one((
            "select 1/0", "selec 1", "select 1 from missing", "select 'a",
            f"insert into {t} values ('x')",
            "do $$ begin raise exception 'wrong' using detail = 'd', errcode = 'XX123'; end $$",
            "select missing()", "select 1 +", f"alter table {t} add column a int",
            "fetch 1 from nothing",
            "select generate_series(1, 3) / 0", "select 5 / (2 - g) from generate_series(1, 3) g",
            "select 'x'::int", "execute nothing", "commit; select 1/0", "set no_such = 1", "\x01"))

    def about_notice(self) -> str:
        return self.one((
            "do $$ begin raise notice 'a notice'; end $$", "do $$ begin raise warning 'w'; end $$",
            "drop table if exists missing", "do $$ begin perform 1; end $$",
            "create table if not exists t0 ()",
            "do $$ begin raise notice '%', current_setting('work_mem'); end $$", "rollback",
            "commit"))

    def about_big(self) -> str:
        return self.one((
            "select repeat('x', 100000)",
            "select repeat('y', 300), g from generate_series(1, 700) g",
            "select g from generate_series(1, 5000) g", "select length('" + "z" * 3000 + "')",
            "select repeat('x', 9000) from generate_series(1, 20)"))

    def about_discard(self) -> str:
        return self.one(("discard all", "discard all", "discard plans", "discard sequences",
                         "discard temp",
                         "deallocate all", "close all; unlisten *; reset all", "reset all",
                         "checkpoint"))

    def about_time(self) -> str:
        return self.one((
            "select now() = statement_timestamp()", "select now() = now()",
            "select pg_is_in_recovery()",
            "select txid_current() > 0", "select pg_current_xact_id_if_assigned() is null",
            "select current_setting('transaction_read_only')", "select now() <= clock_timestamp()",
            "select pg_export_snapshot() is null", "select txid_current_if_assigned() is null",
            "select pg_current_wal_lsn() is null", "select pg_last_wal_replay_lsn() is null",
            "select inet_client_addr()"))

    def about_sequence(self) -> str:
        n = self.client
        return self.one((f"begin; select nextval('q{n}'); select lastval(), currval('q{n}'); end",
                         f"select nextval('q{n}')", f"select setval('q{n}', 10)",
                         f"select last_value from q{n}",
                         f"begin; insert into v{n} (b) values ('x'); select lastval(); commit",
                         f"insert into v{n} (b) values ('y') returning b"))

    def about_ddl(self) -> str:
        t = f"t{self.random.randrange(4)}"
        self.columns += 1
        return self.one((
            f"alter table {t} add column n{self.columns} int default 7",
            f"alter table {t} alter a type bigint",
            f"alter table {t} alter a type int", f"alter table {t} rename column b to c",
            f"alter table {t} rename column c to b", f"create index on {t} (a)",
            f"create or replace view w{self.client} as select a from t{self.client}",
            f"select * from w{self.client} order by 1", f"comment on table {t} is 'x'"))

    def about_slow(self) -> str:
        long = "set local statement_timeout = 30; select count(*) from generate_series(1, 1e8)"
        return self.one((long, f"begin; {long}", "select pg_sleep(0)",
                         "/* cancel me */ select pg_sleep(9)"))


def setting_up(n: int) -> str:
    """What client `n`'s tables are at first."""
    return (f"drop view if exists w{n}; drop table if exists t{n}, u{n}, v{n} cascade; "
            f"drop sequence if exists q{n}; create sequence q{n}; "
            f"create table t{n} (a int, b text); create table v{n} (id serial, b text); "
            f"insert into t{n} values (1, 'one'), (2, 'two'), (3, 'three'); "
            f"create or replace function writes{n}() returns int language plpgsql as "
            f"'begin insert into t{n} values (77); return 1; end'; "
            f"select lo_unlink(oid) from pg_largeobject_metadata where oid = {7000 + n}")


def tearing_down(n: int) -> str:
    return (f"drop view if exists w{n}; drop table if exists t{n}, u{n}, v{n} cascade; "
            f"drop sequence if exists q{n}; drop function if exists writes{n}(); "
            f"select lo_unlink(oid) from pg_largeobject_metadata where oid = {7000 + n}")
