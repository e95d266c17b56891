"""The one interface of all runners: a specification in, events while it works, an outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Status = Literal["succeeded", "failed", "timed-out", "cancelled", "handed-off"]


@dataclass(frozen=True)
class RunSpec:
    """Everything an agent needs for one attempt.

    ``argv`` is the runner's command template; ``folder`` is where transcript and other artefacts
    of this attempt go, it exists; ``mcp`` is the argv by which the agent can start our own MCP
    server for this workspace; ``role`` is the mode's role text for agents that have no such mode.
    ``permissions`` maps a kind of tool call to allow or deny. Seconds throughout.
    """

    run_id: str
    attempt: int
    prompt: str
    mode: str | None
    role: str
    root: Path
    folder: Path
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    mcp: tuple[str, ...]
    limit_seconds: float
    idle_seconds: float | None = None
    permissions: Mapping[str, Literal["allow", "deny"]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """Something that happened in a run: ``kind`` is start, text, tool, warning or end."""

    kind: Literal["start", "text", "tool", "warning", "end"]
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended, why, and what the agent told of it."""

    status: Status
    reason: str
    text: str = ""
    exit_code: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Runner(Protocol):
    """Works on one attempt; blocks its thread until the attempt has ended.

    Never raises for what an agent does; whatever happens is an outcome. When ``stop`` is set, or
    the limit is reached, the agent's whole process tree is ended before the return.
    """

    def run(self, spec: RunSpec, stop: threading.Event, tell: Callable[[Event], None]) -> Outcome:
        """Work on one attempt."""


class Work(Protocol):
    """What the engine does with a run, step by step; each step may be repeated after a crash.

    Every effect carries the run's id and the attempt's number, so that a repeated step finds what
    it has done. All values are JSON-able dictionaries, because the engine stores them.
    """

    def begin(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make the time row durable, take the checkpoint; raises SidecarError to abort the run."""

    def attempt(
        self, request: dict[str, Any], begun: dict[str, Any], number: int, stop: threading.Event
    ) -> dict[str, Any]:
        """Work once, from 1 on; returns an ``Outcome`` as a dictionary."""

    def finish(
        self, request: dict[str, Any], begun: dict[str, Any], outcomes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Close the row, note memory and bookkeeping, escalate or roll back.

        Returns the record's ``state``, ``reason``, ``result`` and ``facts``.
        """

    def recover(self, request: dict[str, Any]) -> None:
        """End what a killed predecessor left running for this run, before it is worked on again."""
