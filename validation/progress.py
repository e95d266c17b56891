"""Tells a person, and whoever polls, what is going on."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

TERMINAL_SECONDS = 0.2
LOG_SECONDS = 10.0
STATUS_SECONDS = 0.5


@dataclass
class Progress:
    """Lines for a stream, rewritten in place on a terminal, and a small file that can be polled.

    Without a stream or a status file it is silent.
    """

    stream: TextIO | None = None
    status: Path | None = None
    stages: int = 0
    done: int = 0
    _stage: str = ""
    _detail: str = ""
    _began: float = 0.0
    _drawn: bool = False
    _last_line: float = 0.0
    _last_status: float = 0.0
    _started: float = field(default_factory=time.time)

    @property
    def _terminal(self) -> bool:
        return self.stream is not None and self.stream.isatty()

    def stage(self, name: str) -> None:
        """A stage begins."""
        self._stage = name
        self._last_line = self._began = time.monotonic()
        self._detail = ""
        self._write_status("", now=True)
        if not self._terminal:
            self._print(f"... {name}")

    def beat(self) -> None:
        """The stage still runs."""
        self.note(self._detail)

    def note(self, text: str) -> None:
        """Something happened within the stage; shown as often as a reader can follow."""
        self._detail = text
        now = time.monotonic()
        if now - self._last_line > (TERMINAL_SECONDS if self._terminal else LOG_SECONDS):
            self._last_line = now
            told = f"... {self._stage}: {text or 'running'}, {now - self._began:.0f} s"
            if self._terminal:
                self._redraw(told)
            else:
                self._print(told)
        self._write_status(text)

    def finish(self, line: str) -> None:
        """The stage is over."""
        self.done += 1
        self.say(line)
        self._write_status("", now=True)

    def say(self, line: str) -> None:
        """Print a whole line, whatever stands on the last one."""
        self._redraw("")
        self._print(line)

    def _print(self, line: str) -> None:
        if self.stream is not None:
            print(line, file=self.stream, flush=True)

    def _redraw(self, line: str) -> None:
        if self._terminal and self.stream is not None and (line or self._drawn):
            width = max(20, os.get_terminal_size(self.stream.fileno()).columns - 1)
            print(f"\r\x1b[K{line[:width]}", end="", file=self.stream, flush=True)
            self._drawn = bool(line)

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
