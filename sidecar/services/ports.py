"""What services need of the engine and of open editors, without importing either."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from sidecar.domain.edit import Edit
from sidecar.domain.run import Executing, RunRecord, RunRequest, RunState
from sidecar.workspace.overlays import Overlay


class RunQueue(Protocol):
    """The durable queue of runs; every method may be called from any thread.

    Raises E_UNAVAILABLE where the queue's database cannot be reached.
    """

    def enqueue(
        self, request: RunRequest, *, state: RunState = RunState.QUEUED, reason: str = ""
    ) -> RunRecord:
        """Put a run into the queue; the same ``run_id`` gives the run that is there already.

        A state in which runs end records one that will not be worked on.
        """

    def get(self, run_id: str) -> RunRecord | None:
        """One run as it stands, None for an unknown id."""

    def runs(
        self,
        *,
        workspace: str,
        subject: str | None = None,
        states: Collection[RunState] = (),
        limit: int = 100,
    ) -> list[RunRecord]:
        """The runs of a workspace, the newest first; no ``states`` means all."""

    def cancel(self, run_id: str, reason: str) -> bool:
        """Ask a run to end; False where it has ended already or is unknown."""

    def settle(self, run_id: str, state: RunState, *, reason: str = "", result: str = "") -> bool:
        """End a run that waits for somebody outside (`ready`, `needs-consent`); False if it has.

        QUEUED lets it be worked on instead.
        """

    def executor(self, workspace: str) -> Executing | None:
        """Who executes the workspace's schedules, None where nobody does."""


class OpenEditors(Protocol):
    """The editors that are connected to this sidecar; safe to call from any thread but theirs."""

    def apply(self, path: str, edits: Sequence[Edit], *, label: str, overlay: Overlay) -> bool:
        """Change an open document by its editor, for it to show and undo; False if it refused.

        ``edits`` are spans of the text of ``overlay``; where the editor shows another by now,
        nothing is changed. True means that the text that it shows was seen to have been changed.
        Raises E_CONFLICT where that cannot be told.
        """

    def takes(self, path: str, *, overlay: Overlay) -> bool:
        """Whether an editor that lets others change its texts shows this one."""

    def notify(self, message: str) -> None:
        """Show a person a message in every connected editor."""
