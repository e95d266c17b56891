"""The last question before anything is executed: whether a person agreed to this very run."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.run import Origin, RunRequest
from sidecar.engine.current import Current
from sidecar.engine.run_json import from_dict
from sidecar.engine.runner import Outcome
from sidecar.services import trust
from sidecar.services.context import Context
from sidecar.services.schedule_plan import read
from sidecar.settings import runner_of


@dataclass(frozen=True)
class Consented:
    """Work that is done only while it is consented to.

    A run may have waited, may be tried again, or may come from another host: what was true when it
    was put into the queue says nothing about now.
    """

    current: Current

    def begin(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin the run; raises E_UNTRUSTED where the consent does not cover it."""
        context, work = self.current.get()
        reason = refusal(context, from_dict(request))
        if reason is not None:
            message = f"Nothing was executed, because {reason}."
            hint = "A person looks at it and approves it by `sidecar trust --schedules`."
            raise SidecarError(ErrorCode.UNTRUSTED, message, hint=hint)
        return work.begin(request)

    def attempt(
        self, request: dict[str, Any], begun: dict[str, Any], number: int, stop: threading.Event
    ) -> dict[str, Any]:
        """Work once, unless the consent was taken back meanwhile: then for the last time."""
        context, work = self.current.get()
        reason = refusal(context, from_dict(request))
        if reason is not None:
            told = f"Nothing was executed, because {reason}."
            return asdict(Outcome("failed", told, facts={"retry": False}))
        return work.attempt(request, begun, number, stop)

    def finish(
        self, request: dict[str, Any], begun: dict[str, Any], outcomes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Close what was begun."""
        return self.current.get()[1].finish(request, begun, outcomes)

    def recover(self, request: dict[str, Any]) -> None:
        """End what a killed predecessor left running."""
        self.current.get()[1].recover(request)


def refusal(context: Context, request: RunRequest) -> str | None:
    """Why a run may not be executed here and now, as a clause; None where it may."""
    if context.code_allowed or trust.is_allowed(context, request):
        return None
    if request.runner != runner_of(context.settings, request.subject, request.mode):
        return f"its runner `{request.runner}` is not the one that is set here"
    if request.origin is Origin.TASK:
        return trust.refusal(context)
    schedule = read(context)[0].find(request.subject)
    if schedule is None:
        return "its schedule is gone"
    told = (schedule.text("taskInstructions"), schedule.text("mode"), schedule.label)
    if told != (request.instructions, request.mode or "", request.label):
        return "the schedule was changed after the run was asked for"
    return trust.may_run(context, schedule)
