"""What a run has done already, kept on the user's side, so that a repeated step does it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sidecar.domain.run import RunRequest, run_name
from sidecar.services.context import Context

COLLECTION = "run_steps"
KEPT = 500


@dataclass(frozen=True)
class RunMemory:
    """The durable notes of one run, by name; every value is JSON."""

    context: Context
    run_id: str

    @classmethod
    def of(cls, context: Context, request: RunRequest) -> RunMemory:
        """The notes of a request's run."""
        return cls(context, request.run_id)

    @property
    def name(self) -> str:
        """The run's name in files and logs."""
        return run_name(self.run_id)

    def get(self, key: str) -> Any:
        """One note, None where there is none."""
        with self.context.workspace.store.transaction() as records:
            return (records.get(COLLECTION, self.run_id) or {}).get(key)

    def put(self, **notes: Any) -> None:
        """Add notes, or replace them; durable when this returns."""
        with self.context.workspace.store.transaction() as records:
            known = records.get(COLLECTION, self.run_id)
            records.put(COLLECTION, self.run_id, (known or {}) | notes)

    def once(self, key: str, act: Callable[[], Any]) -> Any:
        """What the act returned when it was done, now or by an earlier try of this step.

        The act itself must bear repetition: a crash may come between it and the note.
        """
        known = self.get(key)
        if known is not None:
            return known["value"]
        value = act()
        self.put(**{key: {"value": value}})
        return value


def begun(context: Context) -> dict[str, dict[str, Any]]:
    """The notes of every run that was begun, by the run's id."""
    with context.workspace.store.transaction() as records:
        return dict(records.items(COLLECTION))


def forget_old(context: Context) -> None:
    """Drop the notes of all but the newest runs that have ended."""
    with context.workspace.store.transaction() as records:
        ended = sorted(
            (value["ended_at"], run_id)
            for run_id, value in records.items(COLLECTION)
            if value.get("ended_at")
        )
        for _, run_id in ended[:-KEPT]:
            records.delete(COLLECTION, run_id)
