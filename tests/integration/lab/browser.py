"""Headless Chromium, asked over its DevTools pipe: loads a page, says what is in it, draws it."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from .process import PATIENCE, LabError, wait_until

PROGRAM = "chromium-headless-shell"
# The user is root in CI, who has no sandbox; there is no GPU, and /dev/shm may be small.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--disable-extensions", "--no-first-run", "--disable-background-networking",
         "--no-proxy-server", "--hide-scrollbars", "--remote-debugging-pipe"]


def _high(descriptor: int) -> int:
    """The same file under a number that is not 3 or 4, which are the pipe's in the program."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return copy


class Browser:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        to_read, self._write = (_high(each) for each in os.pipe())
        self._read, to_write = (_high(each) for each in os.pipe())

        def prepare() -> None:
            os.dup2(to_read, 3)
            os.dup2(to_write, 4)

        with open(folder / "log", "wb") as log:
            # What else is open is not inherited: Python opens it so.
            self._process = subprocess.Popen(
                [PROGRAM, *FLAGS, f"--user-data-dir={folder}/profile", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False,
                start_new_session=True, preexec_fn=prepare,
                env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"})
        os.close(to_read)
        os.close(to_write)
        self._buffer = b""
        self._last = 0
        self._pages: dict[str, Page] = {}

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        self._last += 1
        wanted = self._last
        message = {"id": wanted, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data):]
        end = time.monotonic() + 30 * PATIENCE
        while True:
            answer = self._next(end)
            if answer.get("id") == wanted:
                if "error" in answer:
                    raise LabError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            if answer.get("sessionId") in self._pages:
                self._pages[answer["sessionId"]].heard(answer)

    def _next(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            data = os.read(self._read, 1 << 20) if ready else b""
            if not data:
                raise LabError("Chromium does not answer" if not ready else "Chromium has ended")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\0", 1)
        return dict(json.loads(line))

    def open(self, url: str, width: int, height: int, *, dark: bool = False,
             phone: bool = False) -> "Page":
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        self._pages[session] = page
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2 if phone else 1, mobile=phone)
        page.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        page.call("Page.navigate", url=url)
        page.wait("document.readyState === 'complete' && location.href !== 'about:blank'", url)
        return page


class Page:
    """One tab. `errors` are those of scripts, of what was loaded, and of the page's policy."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.errors: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def heard(self, event: dict[str, Any]) -> None:
        said = event["params"]
        if event["method"] == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(said["exceptionDetails"]))
        elif event["method"] == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.errors.append(json.dumps(said["entry"]))
        elif event["method"] == "Runtime.consoleAPICalled" and said["type"] in ("error", "assert"):
            self.errors.append(json.dumps(said["args"]))

    def value(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise LabError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression: str, what: str) -> None:
        wait_until(lambda: self.value(expression), what, within=20, every=0.05)

    def draw(self, file: Path) -> None:
        """The whole page, as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        drawn = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                          clip={**size, "scale": 1})
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(drawn["data"]))
