"""Tells a person, and whoever polls, what is going on."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from validation.live import Live

LOG_SECONDS = 10.0
STATUS_SECONDS = 0.5


@dataclass
class Progress:
    """Lines for a stream, a live view for a terminal, and a small file that can be polled.

    Without a stream or a status file it is silent.
    """

    stream: TextIO | None = None
    status: Path | None = None
    stages: int = 0
    done: int = 0
    _stage: str = ""
    _detail: str = ""
    _began: float = 0.0
    _live: Live | None = None
    _last_line: float = 0.0
    _last_status: float = 0.0
    _started: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        """Begin to draw where the stream is a terminal."""
        if self.stream is not None and self.stream.isatty():
            # rich costs a tenth of a second, which no log and no program needs to wait for.
            from validation.live import Live  # noqa: PLC0415

            self._live = Live(self.stream)

    def close(self) -> None:
        """End the live view; later lines are plain."""
        if self._live is not None:
            self._live.close()
            self._live = None

    def stage(self, name: str) -> None:
        """A stage begins."""
        self._stage = name
        self._last_line = self._began = time.monotonic()
        self._detail = ""
        self._write_status("", now=True)
        if self._live is None:
            self._print(f"... {name}")
        self._draw()

    def beat(self) -> None:
        """The stage still runs."""
        self.note(self._detail)

    def note(self, text: str) -> None:
        """Something happened within the stage; shown as often as a reader can follow."""
        self._detail = text
        now = time.monotonic()
        if self._live is None and now - self._last_line > LOG_SECONDS:
            self._last_line = now
            self._print(f"... {self._stage}: {text or 'running'}, {now - self._began:.0f} s")
        self._draw()
        self._write_status(text)

    def finish(self, line: str) -> None:
        """The stage is over."""
        self.done += 1
        self.say(line)
        self._write_status("", now=True)

    def say(self, line: str) -> None:
        """Print a whole line."""
        if self._live is not None:
            self._live.say(line)
        else:
            self._print(line)

    def _print(self, line: str) -> None:
        if self.stream is not None:
            print(line, file=self.stream, flush=True)

    def _draw(self) -> None:
        if self._live is not None:
            self._live.show(self._stage, self._detail, self.done, self.stages)

    def _write_status(self, text: str, *, now: bool = False) -> None:
        if self.status is None or not (
            now or time.monotonic() - self._last_status > STATUS_SECONDS
        ):
            return
        self._last_status = time.monotonic()
        data = {
            "stage": self._stage,
            "detail": text,
            "stages_done": self.done,
            "stages": self.stages,
            "seconds": round(time.time() - self._started, 1),
            "alive": time.time(),
        }
        beside = self.status.with_suffix(".new")
        beside.write_text(json.dumps(data), encoding="utf-8")
        beside.replace(self.status)
