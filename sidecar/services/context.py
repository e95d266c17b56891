"""What a service may use; only what services need may be added here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sidecar.services.meter import Meter
from sidecar.services.ports import OpenEditors, RunQueue
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

Clock = Callable[[], datetime]
Progress = Callable[[float, float | None, str], None]
Reload = Callable[[Settings], None]


def system_clock() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def unheard(done: float, total: float | None, message: str) -> None:
    """Progress that nobody asked for."""


@dataclass(frozen=True)
class Client:
    """Who is asking: the client's own name and the id of its session.

    ``run`` is the id of the run in which it works, empty where it works in none.
    """

    name: str = "cli"
    session: str = "local"
    run: str = ""


@dataclass(frozen=True)
class Context:
    """One caller's view of one workspace.

    ``code_allowed`` is true only where a person typed the command that runs the workspace's code
    and said so there; consent on record is asked from ``services.trust``. ``reload`` puts other
    settings in force for the calls that follow; None where each call reads them anew. ``queue`` is
    None where runs are neither kept nor executed, ``editors`` where none can be connected.
    """

    workspace: Workspace
    settings: Settings
    clock: Clock = system_clock
    client: Client = field(default_factory=Client)
    progress: Progress = unheard
    code_allowed: bool = False
    reload: Reload | None = None
    meter: Meter = field(default_factory=Meter)
    queue: RunQueue | None = None
    editors: OpenEditors | None = None
