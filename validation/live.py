"""What a terminal shows while a run is under way: one line, drawn by rich."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

REFRESHES_PER_SECOND = 5


class Live:
    """The stages that are done, the one under way and what it is at; gone when the run is over."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn(
                "{task.fields[detail]}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            ),
            console=self._console,
            transient=True,
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._line = self._bars.add_task("", total=None, detail="")
        self._bars.start()

    def show(self, stage: str, detail: str, done: int, stages: int) -> None:
        """Draw where the run stands."""
        self._bars.update(
            self._line,
            description=_printable(stage),
            detail=_printable(detail),
            completed=done,
            total=stages or None,
        )

    def say(self, line: str) -> None:
        """Print a whole line above."""
        self._console.print(_printable(line), soft_wrap=True)

    def close(self) -> None:
        """Take the line away and give the cursor back."""
        self._bars.stop()


def _printable(text: str) -> str:
    """A text that cannot steer the terminal: names of tests may hold anything."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
