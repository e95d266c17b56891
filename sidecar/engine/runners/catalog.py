"""The runners by their names: those that everybody has, and those that the user defined.

A user's runner is a kind and its words: ``command`` and a template; ``acp`` and the command of an
agent that speaks the protocol; or a known agent's name and what its command line shall have
besides, where a first word without a dash is the program to start instead of the usual one.
"""

from __future__ import annotations

from collections.abc import Callable

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.suggest import did_you_mean
from sidecar.engine.runner import Runner
from sidecar.engine.runners.acp import AcpRunner
from sidecar.engine.runners.builtin import BuiltinRunner
from sidecar.engine.runners.command import CommandRunner
from sidecar.engine.runners.handoff import HandoffRunner
from sidecar.engine.runners.hosts import Host
from sidecar.engine.runners.presets import ACP_AGENTS, PRESETS
from sidecar.services.context import Context
from sidecar.settings import Settings

HANDOFF, BUILTIN, COMMAND, ACP = "handoff", "builtin", "command", "acp"


def known(settings: Settings) -> tuple[str, ...]:
    """The names that a schedule, a mode or a workspace may choose among."""
    return (HANDOFF, BUILTIN, *PRESETS, *ACP_AGENTS, *sorted(settings.runners))


def runner_named(settings: Settings, name: str, context: Context | None = None) -> Runner:
    """The runner of that name; raises SidecarError E_INVALID with what was probably meant.

    ``context`` is the workspace's for runners that start no agent; without one they open the
    run's own. A runner that the user defined goes before a known one of the same name.
    """
    host = Host(settings, context)
    if name in settings.runners:
        return _defined(name, settings.runners[name])
    if name == HANDOFF:
        return HandoffRunner(host)
    if name == BUILTIN:
        return BuiltinRunner(host)
    if name in PRESETS:
        return CommandRunner(preset=PRESETS[name])
    if name in ACP_AGENTS:
        return _of_acp(name, ())()
    names = known(settings)
    hint = did_you_mean(name, names) or f"The runners are: {', '.join(names)}."
    raise SidecarError(ErrorCode.INVALID, f"There is no runner `{name}`.", hint=hint)


def command_of(settings: Settings, name: str) -> tuple[str, ...]:
    """What a runner would start, for a person to consent to; empty for those that start nothing."""
    if name in settings.runners:
        return settings.runners[name]
    if name in PRESETS:
        return (PRESETS[name].program, *PRESETS[name].words)
    return ACP_AGENTS[name].command if name in ACP_AGENTS else ()


def _defined(name: str, definition: tuple[str, ...]) -> Runner:
    kind, words = (definition[0], definition[1:]) if definition else ("", ())
    makers: dict[str, Callable[[], Runner]] = {
        COMMAND: lambda: CommandRunner(words),
        ACP: lambda: AcpRunner(words),
        **{each: _of_preset(each, words) for each in PRESETS},
        **{each: _of_acp(each, words) for each in ACP_AGENTS},
    }
    if kind not in makers:
        message = f"The runner `{name}` is of an unknown kind `{kind}`."
        hint = did_you_mean(kind, makers) or f"The kinds are: {', '.join(makers)}."
        raise SidecarError(ErrorCode.INVALID, message, hint=hint)
    if kind in (COMMAND, ACP) and not words:
        message = f"The runner `{name}` names no command."
        hint = 'For example ["command", "my-agent", "{prompt}"].'
        raise SidecarError(ErrorCode.INVALID, message, hint=hint)
    return makers[kind]()


def _of_preset(name: str, words: tuple[str, ...]) -> Callable[[], Runner]:
    return lambda: CommandRunner(words, PRESETS[name])


def _of_acp(name: str, words: tuple[str, ...]) -> Callable[[], Runner]:
    return lambda: AcpRunner(words, ACP_AGENTS[name])
