"""Runs an agent over the Agent Client Protocol: the sidecar is the client, the agent the worker.

No file system and no terminal is offered: the agent has its own, which version 2 of the protocol
expects. The protocol knows no time-outs, so every request has one of ours.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.engine.runner import Event, Outcome, RunSpec
from sidecar.engine.runners import artefacts
from sidecar.engine.runners import child as children
from sidecar.engine.runners.bounds import Bounds, Watch
from sidecar.engine.runners.command import PROMPT_FILE, extended, filled
from sidecar.engine.runners.presets import AcpAgent, Equipment
from sidecar.engine.runners.record import Record, cut, recorded


@dataclass(frozen=True)
class AcpRunner:
    """Works on a run by an agent that speaks the protocol on its standard input and output.

    ``words`` are its command; of a known ``agent`` they are what its command shall have besides.
    """

    words: tuple[str, ...] = ()
    agent: AcpAgent | None = None
    bounds: Bounds = field(default_factory=Bounds)

    def run(self, spec: RunSpec, stop: threading.Event, tell: Callable[[Event], None]) -> Outcome:
        """Work on one attempt."""
        return recorded(spec, tell, lambda record: self._worked(spec, stop, record))

    def _worked(self, spec: RunSpec, stop: threading.Event, record: Record) -> Outcome:
        # The library's schema takes long to load, and only this runner needs it.
        from sidecar.engine.runners.acp_session import Session  # noqa: PLC0415

        if stop.is_set():
            return Outcome("cancelled", "It was told to stop before it began.")
        path = artefacts.write(spec.folder, PROMPT_FILE, spec.prompt)
        equipment = self.agent.equip(spec) if self.agent else Equipment()
        usual = (*self.agent.command, *equipment.words) if self.agent else ()
        argv = filled(extended(usual, spec.argv or self.words), spec, spec.prompt, path)
        given = {**equipment.variables, **spec.environment}
        variables = children.environment(spec.run_id, spec.root, given)
        try:
            child = children.start(
                argv, root=spec.root, folder=spec.folder, variables=variables, has_input=True
            )
        except SidecarError as error:
            return Outcome("failed", str(error))
        record(Event("start", argv[0].rpartition("/")[2], {**child.known, "argv": argv}))
        watch = Watch(spec, stop, record)
        session = Session(spec, child, record, watch, self.bounds)
        left = 0
        try:
            with asyncio.Runner() as loop:
                outcome = loop.run(session.hold())
        finally:
            left = child.end(self.bounds)
        return self._told(outcome, session, child.process.returncode, left, watch)

    def _told(
        self, outcome: Outcome, session: Any, code: int | None, left: int, watch: Watch
    ) -> Outcome:
        errors = session.errors.decode("utf-8", "replace").strip()
        facts = {**outcome.facts, "seconds": round(watch.seconds, 3), "processes_left": left}
        if errors:
            facts["errors"] = cut(errors, 4_000)
        return Outcome(
            outcome.status,
            outcome.reason,
            outcome.text,
            exit_code=code,
            tokens=outcome.tokens,
            cost=outcome.cost,
            facts=facts,
        )
