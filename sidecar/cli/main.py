"""The command line: names, one line of help each, and the module that does the work."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from sidecar import __version__
from sidecar.channel.message import Unavailable
from sidecar.cli.visible import one_line
from sidecar.domain.errors import ErrorCode, SidecarError

if TYPE_CHECKING:
    import argparse

# Only the module of the command asked for is imported: a channel must not pay for the others.
COMMANDS: dict[str, str] = {
    "serve": "look after a workspace: show what is wrong, watch it, serve its tools over HTTP",
    "status": "show whether the workspace's sidecar runs, for whom, and what it does",
    "stop": "end the workspace's sidecar",
    "check": "report what is wrong in the files of a workspace",
    "fix": "apply the quick fixes that are safe",
    "next": "show when the schedules run next, and why",
    "run": "run a schedule now, or all that are due, in this process",
    "runs": "show what ran, what runs and what waits",
    "resume": "let a schedule run again that was paused or given up",
    "worker": "only work on runs that others have queued, for one or several workspaces",
    "call": "call one of the 20 tools",
    "lsp": "serve an editor on stdin and stdout",
    "mcp": "serve an agent on stdin and stdout",
    "validate": "run the workspace's tests and checks and report figures",
    "trust": "show or give the consent that running a workspace's code needs",
    "token": "show or renew the token that HTTP clients send",
    "rules": "explain the rules",
    "tools": "explain the tools",
}

REFUSED = 2
INTERRUPTED = 130


class Command(Protocol):
    """What the module of a command offers."""

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: sidecar COMMAND [OPTIONS]", "", "commands:", *lines])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, the command's own, 2 for a refusal, 130 for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console of another code page than UTF-8
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0] if words else "--help"
    if name in {"-h", "--help", "help"}:
        print(_usage())
        return 0
    if name in {"-V", "--version"}:
        print(f"sidecar {__version__}")
        return 0
    if name not in COMMANDS:
        print(f"sidecar: there is no command `{name}`.\n\n{_usage()}", file=sys.stderr)
        return REFUSED
    return _run(name, words[1:])


def _run(name: str, words: list[str]) -> int:
    try:
        if name == "mcp":
            importlib.import_module("sidecar.cli.instant").serve_agent(words)
        command = cast("Command", importlib.import_module(f"sidecar.cli.{name}"))
        parsing = importlib.import_module("sidecar.cli.parsing")
        return command.run(parsing.parsed(name, COMMANDS[name], command.add_arguments, words))
    except SidecarError as error:
        print(f"sidecar {name}: {one_line(str(error))} [{error.code}]", file=sys.stderr)
        return REFUSED
    except Unavailable as error:
        print(f"sidecar {name}: {one_line(str(error))} [{ErrorCode.UNAVAILABLE}]", file=sys.stderr)
        return REFUSED
    except BrokenPipeError:
        return 0
    except OSError as error:
        print(f"sidecar {name}: {error.strerror or error} [{ErrorCode.IO}]", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED


def refuse(message: str, *, hint: str = "") -> SidecarError:
    """The error for a command line that makes no sense."""
    return SidecarError(ErrorCode.INVALID, message, hint=hint)
