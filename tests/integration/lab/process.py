"""Starting programs, waiting for conditions, and ending exactly what was started."""

from __future__ import annotations

import atexit
import ctypes
import os
import pwd
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence, TypeVar

T = TypeVar("T")

# Sanitized builds are several times slower; every deadline is multiplied by this.
PATIENCE = float(os.environ.get("LAB_PATIENCE", "1"))

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(AssertionError):
    """The laboratory could not do what a test asked for, or a condition did not come true."""


class Deadline:
    """A moment after which waiting is a failure."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds * PATIENCE
        self.end = time.monotonic() + self.seconds

    def remaining(self) -> float:
        return max(0.0, self.end - time.monotonic())

    @property
    def expired(self) -> bool:
        return time.monotonic() >= self.end


def wait_until(condition: Callable[[], T], what: str, within: float = 10.0,
               every: float = 0.02) -> T:
    """Polls until `condition` gives something true, and gives that; fails after `within` seconds."""
    deadline = Deadline(within)
    while True:
        value = condition()
        if value:
            return value
        if deadline.expired:
            raise LabError(f"not within {deadline.seconds:.0f} s: {what} (last seen: {value!r})")
        time.sleep(every)


def holds_for(condition: Callable[[], bool], seconds: float, what: str, every: float = 0.02) -> None:
    """Fails as soon as `condition` is false during the next `seconds` (not multiplied)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            raise LabError(f"did not stay true for {seconds} s: {what}")
        time.sleep(every)


class Child:
    """A program that runs beside the tests: started, watched and ended by its process id."""

    _all: list["Child"] = []

    def __init__(self, name: str, argv: Sequence[str], log: Path, *,
                 as_postgres: bool = False, env: Optional[Mapping[str, str]] = None,
                 open_files: Optional[int] = None, death_signal: int = signal.SIGKILL) -> None:
        self.name = name
        self.log = log
        command = list(map(str, argv))
        if as_postgres and os.getuid() == 0:
            # setpriv executes the program in its own place, so that the process id stays true.
            command = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups",
                       "--pdeathsig", signal.Signals(death_signal).name[3:], *command]

        def prepare() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, death_signal)
            signal.signal(signal.SIGINT, signal.SIG_DFL)        # the worker ignores it
            if open_files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env,
                cwd="/", start_new_session=True, preexec_fn=prepare)
        Child._all.append(self)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def send_signal(self, number: int) -> None:
        if self.alive:
            self.process.send_signal(number)

    def wait(self, within: float = 10.0) -> int:
        """Waits for the end and gives the exit code (negative: the signal that ended it)."""
        try:
            code = self.process.wait(within * PATIENCE)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} did not end within {within * PATIENCE:.0f} s") from None
        if self in Child._all:
            Child._all.remove(self)
        return code

    def stop(self, number: int = signal.SIGTERM, within: float = 10.0) -> int:
        """Asks it to end, and makes it end if it does not."""
        self.send_signal(number)
        try:
            return self.wait(within)
        except LabError:
            self.process.kill()
            self.wait(10)
            raise

    def memory_kib(self, field: str = "VmHWM") -> int:
        """A memory figure of /proc/PID/status, in KiB: VmHWM is the peak of resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise LabError(f"{self.name}: no {field}: it has ended")

    def cpu_seconds(self) -> float:
        text = Path(f"/proc/{self.pid}/stat").read_text()
        fields = text[text.rindex(")") + 2:].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    @classmethod
    def end_all(cls) -> None:
        """Ends what is still running: after a failed test, and at the end of the program."""
        for child in list(cls._all):
            child.send_signal(signal.SIGKILL if child.name != "postgres" else signal.SIGQUIT)
            try:
                child.wait(10)
            except LabError:
                child.process.kill()
        cls._all.clear()


atexit.register(Child.end_all)


class Finished:
    """What a program that ran to its end left behind."""

    def __init__(self, argv: Sequence[str], code: int, out: str, err: str) -> None:
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def __repr__(self) -> str:
        return (f"{' '.join(map(str, self.argv))[:300]}\nexit code {self.code}\n"
                f"stdout: {self.out[-3000:]}\nstderr: {self.err[-3000:]}")


def run(argv: Sequence[object], *, given: str = "", within: float = 60.0, expect: Optional[int] = 0,
        env: Optional[Mapping[str, str]] = None, cwd: Optional[Path] = None,
        as_postgres: bool = False) -> Finished:
    """Runs a program to its end. `expect` is the exit code it must have; None accepts any."""
    command = [str(a) for a in argv]
    if as_postgres and os.getuid() == 0:
        command = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups",
                   *command]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=env, cwd=cwd, start_new_session=True)
    try:
        out, err = process.communicate(given.encode(), within * PATIENCE)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)      # the session we have just made for it
        out, err = process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            done = Finished(command, -9, out.decode(errors="replace"), err.decode(errors="replace"))
            raise LabError(f"did not end within {within * PATIENCE:.0f} s: {done!r}") from None
        raise
    done = Finished(command, process.returncode, out.decode(errors="replace"),
                    err.decode(errors="replace"))
    if expect is not None and done.code != expect:
        raise LabError(f"exit code {done.code} instead of {expect}: {done!r}")
    return done


def give_to_postgres(path: Path) -> None:
    """Makes a file or folder belong to the system user that runs PostgreSQL."""
    if os.getuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(path, owner.pw_uid, owner.pw_gid)
