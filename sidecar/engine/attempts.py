"""One attempt of a run: its prompt, its agent, and what it left in the workspace."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, field
from datetime import datetime
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.domain.run import RunRequest
from sidecar.domain.timing import format_time
from sidecar.engine import checkpointing, prompt, restoring, snapshot
from sidecar.engine.git_objects import GitObjects
from sidecar.engine.run_folder import RunFolder
from sidecar.engine.run_memory import RunMemory
from sidecar.engine.runner import Event, Outcome, Runner, RunSpec
from sidecar.engine.runners.process import MARK, of_run
from sidecar.engine.snapshot import Change, Snapshot
from sidecar.services import run_limits
from sidecar.services.context import Context

_log = logging.getLogger(__name__)
# So many changed files are told by name; a run that changes more is not rolled back.
MAX_CHANGES = 5_000
# Tool calls beyond those that a person let an agent make.
KINDS = ("read", "search", "think", "edit", "delete", "move", "execute", "fetch", "other")


@dataclass
class Attempts:
    """Works on attempts, one after the other or several at once."""

    context: Context
    runner_for: Callable[[str], Runner]
    mcp: tuple[str, ...] = ()
    # Files that kept their stamp since any earlier look are not read again.
    _known: Snapshot = field(default_factory=Snapshot)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def work(self, request: RunRequest, number: int, stop: threading.Event) -> dict[str, Any]:
        """The outcome of an attempt, made now or, by an earlier try of this step, before."""
        memory = RunMemory.of(self.context, request)
        known = memory.get(f"outcome-{number}")
        if known is not None:
            return dict(known)
        folder = RunFolder(self.context.workspace.state, memory.name)
        spec = self._spec(request, memory, folder, number)
        before, _ = self.look()
        if memory.get("checkpoint") is not None:
            checkpointing.save(self.context, memory.name, f"before-{number}", before)
        started = self.context.clock()
        memory.put(**{f"started-{number}": format_time(started), "process": of_run(request.run_id)})
        outcome = self._run(request.runner, spec, stop, _Watcher(memory, request.run_id))
        changes = snapshot.compare(before, self.look()[0])
        value = self._told(request.run_id, outcome, started, changes)
        folder.write_json(f"attempt-{number}/outcome.json", value)
        if outcome.status != "cancelled":
            # Whoever stopped it keeps that; a sidecar that closes lets another try this attempt.
            memory.put(**{f"outcome-{number}": value})
        return value

    def look(self) -> tuple[Snapshot, GitObjects | None]:
        """The workspace's files now, and the git that would keep them."""
        with self._guard:
            self._known, git = checkpointing.look(self.context, self._known)
            return self._known, git

    def _spec(
        self, request: RunRequest, memory: RunMemory, folder: RunFolder, number: int
    ) -> RunSpec:
        context = self.context
        begun = memory.get("started")
        since = datetime.fromisoformat(begun["value"]) if begun else None
        limit = run_limits.attempt_limit(context, request, since)
        before = memory.get(f"outcome-{number - 1}") or {}
        about = prompt.Attempt(memory.name, number, limit, str(before.get("reason", "")))
        text = prompt.build(context, request, about)
        path = folder.attempt(number)
        folder.write(f"attempt-{number}/prompt.md", text)
        allowed = context.settings.allowed_calls
        return RunSpec(
            run_id=request.run_id,
            attempt=number,
            prompt=text,
            mode=request.mode,
            role=prompt.role_text(prompt.mode_of(context, request)),
            root=context.workspace.root,
            folder=path,
            argv=context.settings.runners.get(request.runner, ())[1:],
            environment={**context.settings.runner_environment, MARK: request.run_id},
            mcp=self.mcp or _mcp(context),
            limit_seconds=limit,
            idle_seconds=context.settings.idle_limit_seconds or None,
            permissions={kind: "allow" if kind in allowed else "deny" for kind in KINDS},
            options=dict(request.extra.get("options") or {}),
        )

    def _run(
        self, name: str, spec: RunSpec, stop: threading.Event, tell: Callable[[Event], None]
    ) -> Outcome:
        try:
            return self.runner_for(name).run(spec, stop, tell)
        except SidecarError as error:
            return Outcome("failed", str(error))
        except Exception as error:  # noqa: BLE001 - a runner's own mistake must not cost the run its bookkeeping
            _log.exception("the runner %s failed", name)
            return Outcome("failed", f"The runner `{name}` broke: {type(error).__name__}.")

    def _told(
        self, run_id: str, outcome: Outcome, started: datetime, changes: list[Change]
    ) -> dict[str, Any]:
        ended = self.context.clock()
        known = restoring.others(self.context, run_id, started, ended) if changes else {}
        others = {each.path: known[each.path] for each in changes if each.path in known}
        value: dict[str, Any] = json.loads(json.dumps(asdict(outcome), default=str))
        return value | {
            "started": format_time(started),
            "ended": format_time(ended),
            "seconds": round((ended - started).total_seconds(), 3),
            "changes": [list(astuple(change)) for change in changes[:MAX_CHANGES]],
            "others": others,
            "changed": len(changes) - len(others),
        }


@dataclass(frozen=True)
class _Watcher:
    """Listens to an attempt: as soon as the agent is known by its process, that is noted."""

    memory: RunMemory
    run_id: str

    def __call__(self, event: Event) -> None:
        """Take one event; the transcript of all is the runner's to keep."""
        if event.kind == "start" and isinstance(event.data.get("pid"), int):
            names = ("pid", "started", "mark")
            known = of_run(self.run_id) | {name: event.data.get(name, "") for name in names}
            self.memory.put(process=known)


def _mcp(context: Context) -> tuple[str, ...]:
    """How an agent starts our own MCP server for this workspace."""
    root = str(context.workspace.root)
    return (sys.executable, "-P", "-m", "sidecar", "mcp", "--workspace", root)
