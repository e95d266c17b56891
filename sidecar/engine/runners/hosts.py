"""The workspace of a run as the sidecar's own services see it."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.engine.runner import RunSpec
from sidecar.services.context import Client, Context
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace


@dataclass(frozen=True)
class Host:
    """Where runners that start no agent work: the context given, else the run's own workspace."""

    settings: Settings
    given: Context | None = None

    def context(self, spec: RunSpec) -> Context:
        """The services' view of the run's workspace."""
        if self.given is not None:
            return self.given
        settings = self.settings
        workspace = Workspace.open(
            spec.root, state_dir=settings.state_dir, protected=settings.protected
        )
        return Context(workspace, settings, client=Client("sidecar", spec.run_id))


def subject(spec: RunSpec) -> str:
    """The id of the schedule whose run it is: told among the options, else part of the run's id."""
    told = spec.options.get("schedule_id")
    if isinstance(told, str):
        return told
    rest = spec.run_id.partition(":")[2]
    cut = max(rest.rfind("@"), rest.rfind("+"))
    return rest[:cut] if cut > 0 else ""


def instructions(spec: RunSpec) -> str:
    """What the schedule's author wrote: told among the options, else the prompt's first part."""
    told = spec.options.get("instructions")
    if isinstance(told, str):
        return told
    lines = spec.prompt.strip().splitlines()
    if lines and lines[0].startswith("# "):
        del lines[0]
    return "\n".join(lines).partition("\n\n# ")[0].strip()
