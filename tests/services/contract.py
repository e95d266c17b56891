"""A table of clauses: each is a sentence of the tools' contract and a function that proves it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from sidecar.domain.errors import SidecarError
from sidecar.services.calling import called
from sidecar.services.context import Client, Context
from sidecar.services.refusal import structured
from sidecar.services.registry import resolve

LOOP = "1745000000001"
REVIEW = "1745000000002"


class World:
    """A workspace that clauses act upon; every answer and refusal obeys the common rules."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def root(self) -> Path:
        """The workspace's folder."""
        return self.context.workspace.root

    def at(self, **passed: float) -> World:
        """The same workspace, so much later."""
        moment = self.context.clock() + timedelta(**passed)
        return World(replace(self.context, clock=lambda: moment))

    def by(self, name: str, session: str = "s") -> World:
        """The same workspace, asked by another client."""
        return World(replace(self.context, client=Client(name, session)))

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A tool's structured answer; both forms are there and name no absolute path."""
        result = called(resolve(tool), self.context, arguments)
        answer, text = result.structured(), result.summary()
        assert isinstance(answer["success"], bool)
        assert answer["timestamp"].endswith("Z")
        assert text.strip()
        self._tells_no_path(text + json.dumps(answer))
        return answer

    def text(self, tool: str, **arguments: Any) -> str:
        """A tool's answer as clients see it whose model reads text alone."""
        return called(resolve(tool), self.context, arguments).summary()

    def refused(self, tool: str, code: str, **arguments: Any) -> str:
        """The sentence and hint of a call that must be refused with that code."""
        with pytest.raises(SidecarError) as caught:
            called(resolve(tool), self.context, arguments)
        told = structured(caught.value)
        assert (told["success"], told["error_code"]) == (False, f"E_{code}"), told
        assert told["timestamp"].endswith("Z")
        assert told["error"].endswith((".", "?")), told
        assert "Traceback" not in str(told)
        assert "Errno" not in str(told)
        self._tells_no_path(str(told))
        return f"{told['error']} {told.get('hint', '')}"

    def _tells_no_path(self, text: str) -> None:
        assert str(self.root) not in text
        assert str(self.context.workspace.user.state) not in text

    def read(self, path: str) -> str:
        """A file as it lies on the disk."""
        return (self.root / path).read_bytes().decode()

    def write(self, path: str, text: str | bytes) -> None:
        """What another program does: write in place."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)

    def type_in_editor(self, path: str, text: str) -> None:
        """Unsaved text in an open editor."""
        self.context.workspace.overlays.put(path, text)

    def state(self) -> dict[str, str]:
        """Every file of the workspace by its hash, the sidecar's own folder included."""
        return {
            path.relative_to(self.root).as_posix(): sha256(path.read_bytes()).hexdigest()
            for path in self.root.rglob("*")
            if path.is_file() and not path.is_symlink()
        }

    def records(self) -> str:
        """Everything in the records, but for what mere looking leaves."""
        names = ("tasks", "task-keys", "task_limits", "session_modes", "failures", "escalations")
        names += ("checkpoints", "backups", "suspensions", "pending_rows", "archived_memory")
        with self.context.workspace.store.transaction() as records:
            return json.dumps({name: records.items(name) for name in names})

    def schedules(self) -> list[dict[str, Any]]:
        """The schedules as they lie on the disk."""
        found: list[dict[str, Any]] = json.loads(self.read(".roo/schedules.json"))["schedules"]
        return found


Proof = Callable[[World], None]


@dataclass(frozen=True)
class Clause:
    """One row of the table."""

    tool: str
    sentence: str
    proof: Proof

    def __str__(self) -> str:
        return f"{self.tool}: {self.sentence}"


class Table(list[Clause]):
    """Rows in their order, added by decorating their proofs."""

    def row(self, tool: str, sentence: str) -> Callable[[Proof], Proof]:
        """Add a clause about a tool."""

        def add(proof: Proof) -> Proof:
            self.append(Clause(tool, sentence, proof))
            return proof

        return add

    def answers(self, tool: str, sentence: str, given: dict[str, Any], wanted: Any) -> None:
        """Add a clause that one call proves: its answer holds the wanted part."""

        def proof(world: World) -> None:
            answer = world.call(tool, **given)
            assert holds(answer, wanted), answer

        self.append(Clause(tool, sentence, proof))

    def refuses(self, tool: str, code: str, sentence: str, given: dict[str, Any]) -> None:
        """Add a clause that one refused call proves."""
        self.append(
            Clause(tool, sentence, lambda world: world.refused(tool, code, **given) and None)
        )


def holds(whole: Any, part: Any) -> bool:
    """Whether a JSON value holds another: every named key, every listed item at its place."""
    if isinstance(part, dict):
        named = isinstance(whole, dict) and part.keys() <= whole.keys()
        return named and all(holds(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) >= len(part) and all(map(holds, whole, part))
    return bool(whole == part)
