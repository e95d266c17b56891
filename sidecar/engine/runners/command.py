"""Runs an agent as a command: a template without a shell, limits, and proof of success."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.engine.runner import Event, Outcome, RunSpec
from sidecar.engine.runners import artefacts
from sidecar.engine.runners import child as children
from sidecar.engine.runners.bounds import Bounds, Reached, Watch
from sidecar.engine.runners.child import Child
from sidecar.engine.runners.dialects import Reading
from sidecar.engine.runners.presets import Equipment, Preset, write_mcp_config
from sidecar.engine.runners.record import Record, cut, recorded
from sidecar.engine.runners.streams import Exchange

PROMPT_FILE = "prompt.md"
# Linux takes 128 KiB in one argument.
MAX_ARGUMENT_BYTES = 100_000
MAX_RESULT = 4_000
_PLACEHOLDER = re.compile(r"\{(prompt|prompt_file|mode|workspace|run_id|limit|mcp_config)\}")


@dataclass(frozen=True)
class CommandRunner:
    """Works on a run by starting a command.

    With a ``preset``, ``words`` are added to its command line, and success is what the agent's
    last event says. Without one, ``words`` are the whole template, and success is exit 0 alone,
    which the outcome's reason says.
    """

    words: tuple[str, ...] = ()
    preset: Preset | None = None
    bounds: Bounds = field(default_factory=Bounds)

    def run(self, spec: RunSpec, stop: threading.Event, tell: Callable[[Event], None]) -> Outcome:
        """Work on one attempt."""
        return recorded(spec, tell, lambda record: self._prepared(spec, stop, record))

    def _prepared(self, spec: RunSpec, stop: threading.Event, record: Record) -> Outcome:
        prompt = presented(spec, has_modes=bool(self.preset and self.preset.has_modes))
        path = artefacts.write(spec.folder, PROMPT_FILE, prompt)
        equipment = self.preset.equip(spec) if self.preset else Equipment()
        for warning in equipment.warnings:
            record(Event("warning", warning))
        given = {**equipment.variables, **spec.environment}
        variables = children.environment(spec.run_id, spec.root, given)
        argv, sent = self._command(spec, equipment, prompt, path)
        return self._worked(spec, stop, record, argv, variables, sent)

    def _worked(
        self,
        spec: RunSpec,
        stop: threading.Event,
        record: Record,
        argv: Sequence[str],
        variables: Mapping[str, str],
        sent: str | None,
    ) -> Outcome:
        if stop.is_set():
            return Outcome("cancelled", "It was told to stop before it began.")
        try:
            child = children.start(
                argv,
                root=spec.root,
                folder=spec.folder,
                variables=variables,
                has_input=sent is not None,
            )
        except SidecarError as error:
            return Outcome("failed", str(error))
        record(Event("start", Path(argv[0]).name, {**child.known, "argv": list(argv)}))
        watch = Watch(spec, stop, record)
        exchange = Exchange(child, (sent or "").encode(), watch, self.bounds)
        reader: Reading | _Plain = (
            Reading(self.preset.dialect, record) if self.preset else _Plain(record)
        )
        left = 0
        try:
            reached = exchange.follow(reader.take, lambda: reader.verdict is not None)
        finally:
            left = child.end(self.bounds)
        facts = {"seconds": round(watch.seconds, 3), "processes_left": left}
        return self._outcome(reader, reached, child, exchange, facts)

    def _outcome(
        self,
        reader: Reading | _Plain,
        reached: Reached | None,
        child: Child,
        exchange: Exchange,
        facts: dict[str, Any],
    ) -> Outcome:
        code = child.process.returncode
        said, errors = reader.last_text, exchange.errors.decode("utf-8", "replace").strip()
        if errors:
            facts["errors"] = cut(errors, MAX_RESULT)
        if reached:
            text = cut(said, MAX_RESULT)
            return Outcome(reached.status, reached.reason, text, exit_code=code, facts=facts)
        verdict = reader.verdict
        if verdict:
            return Outcome(
                "succeeded" if verdict.succeeded else "failed",
                verdict.reason,
                cut(verdict.text or said, MAX_RESULT),
                exit_code=code,
                tokens=verdict.tokens,
                cost=verdict.cost,
                facts=facts,
            )
        status, reason = self._unproven(code)
        if status == "failed" and errors:
            reason += f" It said: {errors.splitlines()[-1][:300]}"
        return Outcome(status, reason, cut(said, MAX_RESULT), exit_code=code, facts=facts)

    def _unproven(self, code: int | None) -> tuple[Any, str]:
        """What to make of a command that gave no proof of success."""
        ended = f"exit code {code}" if code is None or code >= 0 else f"signal {-code}"
        if self.preset:
            return "failed", f"{self.preset.name} ended ({ended}) without a final event."
        if code == 0:
            return "succeeded", "It exited with 0; no preset knows how to prove more."
        return "failed", f"It ended with {ended}."

    def _command(
        self, spec: RunSpec, equipment: Equipment, prompt: str, path: Path
    ) -> tuple[list[str], str | None]:
        """The command line, and what is written to its standard input."""
        template = spec.argv or self.words
        if self.preset is None:
            argv = filled(template, spec, prompt, path)
            is_told = any("{prompt}" in word or "{prompt_file}" in word for word in template)
            return argv, None if is_told else prompt
        usual = (self.preset.program, *self.preset.words, *equipment.words)
        argv = filled(extended(usual, template), spec, prompt, path)
        if self.preset.delivery == "input":
            return argv, prompt
        return [*argv, _as_argument(prompt, path)], None


class _Plain:
    """The output of a command that nobody has told us how to read."""

    verdict = None

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self.last_text = ""
        self._tell = tell

    def take(self, line: str) -> None:
        """Keep a line."""
        if line.strip():
            self.last_text = cut(f"{self.last_text}\n{line}".strip(), MAX_RESULT)
            self._tell(Event("text", line))


def extended(command: Sequence[str], words: Sequence[str]) -> list[str]:
    """An agent's command with further words; the first, if it's no option, is another program."""
    if not command or not words or words[0].startswith("-"):
        return [*command, *words]
    return [words[0], *command[1:], *words[1:]]


def presented(spec: RunSpec, *, has_modes: bool) -> str:
    """The prompt, with the mode's role before it for an agent that does not know the mode."""
    role = spec.role.strip()
    if has_modes or not role or role in spec.prompt:
        return spec.prompt
    return f"{role}\n\n{spec.prompt}"


def filled(template: Sequence[str], spec: RunSpec, prompt: str, path: Path) -> list[str]:
    """The template's words with their values; an option for a mode goes where there is no mode."""
    values: dict[str, Callable[[], str]] = {
        "prompt": lambda: _as_argument(prompt, path),
        "prompt_file": lambda: str(path),
        "mode": lambda: spec.mode or "",
        "workspace": lambda: str(spec.root),
        "run_id": lambda: spec.run_id,
        "limit": lambda: str(int(spec.limit_seconds)),
        "mcp_config": lambda: str(write_mcp_config(spec)),
    }
    words: list[str] = []
    for word in template:
        if word == "{mode}" and not spec.mode:
            if words and words[-1].startswith("-"):
                words.pop()
            continue
        words.append(_PLACEHOLDER.sub(lambda found: values[found.group(1)](), word))
    return words


def _as_argument(prompt: str, path: Path) -> str:
    """The prompt, or where it lies if it is too long for a command line.

    A prompt that begins with a dash, or is one word, could be taken for an option or a command.
    """
    if len(prompt.encode()) > MAX_ARGUMENT_BYTES or "\0" in prompt:
        return f"Your task is in the file {path}: read it whole, then do what it says."
    is_plain = " " in prompt and not prompt.startswith("-")
    return prompt if is_plain else f"Your task: {prompt}"
