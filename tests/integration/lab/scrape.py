"""What the program says about itself over HTTP."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

SAMPLE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def get(port: int, path: str, headers: dict[str, str] | None = None) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers or {})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.read().decode())


def get_json(port: int, path: str) -> Any:
    return json.loads(get(port, path))


class Scrape:
    """One answer of /metrics."""

    def __init__(self, port: int) -> None:
        self.text = get(port, "/metrics")
        self.samples: list[tuple[str, dict[str, str], float]] = []
        for line in self.text.splitlines():
            found = SAMPLE.match(line)
            if found:
                labels = dict(LABEL.findall(found.group(2) or ""))
                self.samples.append((found.group(1), labels, float(found.group(3))))

    def sum(self, name: str, **labels: str) -> float:
        """Over all series of that name with these labels; 0 where there is none."""
        return sum(value for known, its, value in self.samples if known == "forebay_" + name
                   and all(its.get(key) == wanted for key, wanted in labels.items()))

    def samples_with(self, value: str) -> list[tuple[str, dict[str, str], float]]:
        """Those of which some label has this in its value."""
        return [sample for sample in self.samples
                if any(value in each for each in sample[1].values())]

    def series(self, name: str) -> list[dict[str, str]]:
        return [its for known, its, _ in self.samples if known == "forebay_" + name]
