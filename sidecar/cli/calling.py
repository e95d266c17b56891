"""What ``sidecar call`` does where no sidecar runs: it calls the tool in this process."""

from __future__ import annotations

from pathlib import Path

from sidecar.channel.message import Json
from sidecar.cli.asking import Told
from sidecar.domain.errors import SidecarError
from sidecar.engine.late_queue import queueing
from sidecar.host.workspace import open_workspace
from sidecar.services import refusal
from sidecar.services.calling import called
from sidecar.services.registry import resolve


def alone(root: Path, name: str, arguments: Json) -> Told:
    """A tool's answer, by what is saved."""
    try:
        tool = resolve(name)
        result = called(tool, queueing(open_workspace(root)), arguments)
    except SidecarError as error:
        return refused(error)
    return Told(result.summary(), result.structured(), is_error=False)


def refused(error: SidecarError) -> Told:
    """A refusal in the form that every face gives it."""
    return Told(str(error), refusal.structured(error), is_error=True)
