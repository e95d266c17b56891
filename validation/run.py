"""One run: what every stage may use."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from validation import process
from validation.interpreters import MODULES, Interpreter, ask
from validation.plan import Plan, Stage
from validation.progress import Progress


@dataclass
class Run:
    """The plan, where its artefacts go, and what the caller allows."""

    plan: Plan
    directory: Path
    allow_code: bool = False
    full: bool = False
    fail_fast: bool = False
    wanted: frozenset[str] = frozenset()
    baseline: Path | None = None
    new_baseline: bool = False
    cancellation: process.Cancellation = field(default_factory=process.Cancellation)
    progress: Progress = field(default_factory=Progress)
    _interpreters: dict[str, Interpreter | str] = field(default_factory=dict)

    @property
    def python(self) -> Interpreter | str:
        """The Python of the project, or why there is none; asked once."""
        if self.plan.python not in self._interpreters:
            self._interpreters[self.plan.python] = ask(
                self.plan.python,
                self.directory,
                {*MODULES, *(s.module for s in self.plan.stages if s.module)},
            )
        return self._interpreters[self.plan.python]

    def folder(self, stage: Stage) -> Path:
        """Where a stage's artefacts go; made when first asked for."""
        path = self.directory / re.sub(r"[^\w.-]+", "-", stage.name)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def start(
        self,
        stage: Stage,
        argv: Sequence[str | Path],
        *,
        watch: Callable[[], str] | None = None,
    ) -> process.Outcome:
        """Run a stage's child in the project's folder."""

        def look() -> str:
            self.progress.beat()
            return watch() if watch else ""

        return process.run(
            argv,
            cwd=self.plan.root,
            log=self.folder(stage) / "output.log",
            limits=process.Limits(stage.limit, self.plan.memory),
            cancellation=self.cancellation,
            watch=look,
            import_path=stage.executes,
        )

    def relative(self, text: str) -> str:
        """The text without the project's and the run's absolute paths."""
        for folder in (self.directory, self.plan.root):
            text = text.replace(f"{folder}/", "").replace(f"{folder}\\", "")
        return text
