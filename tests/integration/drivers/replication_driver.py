#!/usr/bin/python3
"""psycopg2's replication connections against the server in libpq's environment variables."""

from __future__ import annotations

import os
import time
from contextlib import closing

import psycopg2
from psycopg2.extras import LogicalReplicationConnection, PhysicalReplicationConnection

from tap import check, main


@check
def logical() -> None:
    with closing(psycopg2.connect("", connection_factory=LogicalReplicationConnection)) as conn:
        cur = conn.cursor()
        cur.create_replication_slot("slot_psycopg2", output_plugin="test_decoding")
        try:
            cur.start_replication(slot_name="slot_psycopg2", decode=True)
            with closing(psycopg2.connect(dbname=os.environ["PGDATABASE"])) as writer:
                with writer, writer.cursor() as insert:
                    insert.execute("select pg_logical_emit_message(true, 'test', 'the message')")
            end = time.monotonic() + 20
            seen: list[str] = []
            while not any("the message" in text for text in seen):
                assert time.monotonic() < end, f"not within 20 s: {seen}"
                message = cur.read_message()
                if message is None:
                    time.sleep(0.01)
                    continue
                seen.append(message.payload)
                message.cursor.send_feedback(flush_lsn=message.data_start)
        finally:
            cur.close()
    with closing(psycopg2.connect("", connection_factory=LogicalReplicationConnection)) as conn:
        conn.cursor().drop_replication_slot("slot_psycopg2")


@check
def physical() -> None:
    with closing(psycopg2.connect("", connection_factory=PhysicalReplicationConnection)) as conn:
        cur = conn.cursor()
        cur.execute("IDENTIFY_SYSTEM")
        assert len(cur.fetchone()) == 4


main()
