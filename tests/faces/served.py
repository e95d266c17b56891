"""A server for tests: two tools that no workspace needs, one slow and one broken."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sidecar.channel.framing import Incoming
from sidecar.channel.opening import claim
from sidecar.cli.mcp import leave
from sidecar.mcp import server, stdio
from sidecar.mcp.early import Descriptor
from sidecar.services.context import Client, Context, Progress
from sidecar.services.tool import Category, Request, Result, tool
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace


class SleepRequest(Request):
    """How long to sleep."""

    seconds: Annotated[float, Field(ge=0, description="How long")] = 0.0
    name: str | None = None


class SleepResult(Result):
    """How long it slept."""

    slept: float
    nothing: str | None = None

    def summary(self) -> str:
        """One line."""
        return f"slept {self.slept} s"


@tool(title="Sleep", category=Category.DEVELOPMENT, read_only=True)
def sleep(context: Context, request: SleepRequest) -> SleepResult:
    """Sleep a while."""
    context.progress(1, 2, "half")
    print("a stray line on stdout")
    time.sleep(request.seconds)
    return SleepResult(slept=request.seconds)


@tool(title="Break", category=Category.DEVELOPMENT)
def broken(context: Context, request: SleepRequest) -> SleepResult:
    """Fail as no tool should."""
    message = f"{context.workspace.root} is gone"
    raise ValueError(message)


class EchoResult(Result):
    """A name."""

    name: str

    def summary(self) -> str:
        """One line."""
        return self.name


@tool(title="Echo", category=Category.DEVELOPMENT, read_only=True)
def echo(context: Context, request: SleepRequest) -> EchoResult:
    """Answer with a name that is not UTF-8."""
    return EchoResult(name="a\udcffb")


def main() -> None:
    """Serve the folder named on the command line over stdio."""
    context = Context(Workspace.open(Path(sys.argv[1])), Settings())

    def make_context(client: Client, progress: Progress) -> Context:
        return replace(context, client=client, progress=progress)

    tools = {each.name: each for each in (sleep, broken, echo)}
    patience = float(sys.argv[2]) if len(sys.argv) > 2 else server.DEADLINE_SECONDS
    wire = claim()
    built = server.build(make_context, version="0", tools=tools, deadline=patience)
    stdio.serve(built, Incoming(wire.source), Descriptor(wire.sink))


if __name__ == "__main__":
    main()
    leave(0)
