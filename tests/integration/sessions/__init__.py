"""The corpus of scripted sessions: each is played directly and through the proxy, and must give the
same bytes (see lab/differences.py for what may differ)."""

from . import copying, extended, names, portals, sessionwide, simple  # noqa: F401

# Made once before a recording. Objects must not be made by the sessions themselves where their
# object ids would show (RowDescription holds the table's).
SETUP = """
create table item (id int primary key, name text not null, price numeric(10,2));
insert into item select n, 'item ' || n, n * 1.5 from generate_series(1, 100) n;
create table empty_table (id int, t text);
create table copied (id int, t text);
create function shout(text) returns void language plpgsql as
    $$ begin raise notice 'shout: %', $1 using detail = 'a detail', hint = 'a hint'; end $$;
create function fail(text) returns int language plpgsql as
    $$ begin raise exception 'fail: %', $1 using errcode = 'P0042'; end $$
"""
