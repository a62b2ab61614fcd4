"""Plays a scripted session against a target and keeps every message that came back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from . import messages as m
from .differences import first_difference
from .messages import Message
from .postgres import Postgres
from .process import LabError, wait_until
from .target import Target


class Recorder:
    """What a session's script is given: a wire client whose answers are all kept."""

    def __init__(self, target: Target, postgres: Postgres, **startup: str) -> None:
        self.postgres = postgres
        self.client = target.connect(**startup)
        self.transcript: list[Message] = list(self.client.login_messages)

    def send(self, *pieces: bytes) -> "Recorder":
        self.client.send(*pieces)
        return self

    def ready(self, count: int = 1) -> list[Message]:
        """Keeps what comes up to the `count`th ReadyForQuery."""
        got = self.client.until_ready(count)
        self.transcript += got
        return got

    def until(self, *types: bytes) -> list[Message]:
        """Keeps what comes up to a message of one of these types."""
        got = self.client.read_until(*types)
        self.transcript += got
        return got

    def until_end(self) -> list[Message]:
        """Keeps what comes until the other side closes."""
        got = self.client.until_end()
        self.transcript += got
        return got

    def query(self, sql: str) -> list[Message]:
        return self.send(m.query(sql)).ready()

    def sync(self, *pieces: bytes) -> list[Message]:
        """These messages and a Sync, and the answer."""
        return self.send(*pieces, m.sync()).ready()

    def wait_for_activity(self, sql_start: str, state: str = "active") -> None:
        # The text is shown from Parse on: what sleeps is being executed.
        sleeps = " and wait_event = 'PgSleep'" if "pg_sleep" in sql_start else ""
        wait_until(lambda: self.postgres.rows(
            "select 1 from pg_stat_activity where left(query, "
            f"{len(sql_start)}) = '{sql_start}' and state = '{state}'{sleeps}"),
            f"{sql_start} is {state}")

    def cancel(self) -> None:
        self.client.cancel()

    def end(self) -> None:
        """Says goodbye; what comes until the end of the stream is kept too."""
        try:
            self.client.send(m.terminate())
        except OSError:
            pass
        self.transcript += self.client.until_end()
        self.client.close()


Script = Callable[[Recorder], None]


@dataclass(frozen=True)
class Session:
    name: str
    about: str
    script: Script
    modes: tuple[str, ...]
    startup: dict[str, str]


SESSIONS: dict[str, Session] = {}


def session(*, modes: tuple[str, ...] = ("transaction", "session"),
            startup: Optional[dict[str, str]] = None) -> Callable[[Script], Script]:
    """Makes a function a session of the corpus; its name is the session's name."""
    def mark(script: Script) -> Script:
        name = script.__name__
        if name in SESSIONS:
            raise LabError(f"two sessions are called {name}")
        SESSIONS[name] = Session(name, (script.__doc__ or "").strip(), script, modes, startup or {})
        return script
    return mark


def record(chosen: Session, target: Target, postgres: Postgres) -> list[Message]:
    recorder = Recorder(target, postgres, **chosen.startup)
    try:
        chosen.script(recorder)
        recorder.end()
    except AssertionError as error:
        raise LabError(f"{target.kind}: {error}\nrecorded so far: "
                       f"{m.names(recorder.transcript)}") from error
    finally:
        recorder.client.close()
    return recorder.transcript


def compare(chosen: Session, direct: Target, target: Target, postgres: Postgres, mode: str,
            repeats: int = 3) -> None:
    """One recording made directly, several through the target: all must be the same."""
    expected = record(chosen, direct, postgres)
    for repeat in range(repeats):
        got = record(chosen, target, postgres)
        difference = first_difference(expected, got, mode)
        if difference:
            raise LabError(f"session {chosen.name}, recording {repeat + 1}: {difference}")


__all__ = ["Recorder", "SESSIONS", "Session", "compare", "record",
           "session"]
