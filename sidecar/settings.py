"""Settings: every one declares its scope, ``user`` or ``workspace``."""

from __future__ import annotations

import errno
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.domain.errors import SidecarError
from sidecar.domain.settings import Cause
from sidecar.domain.suggest import nearest
from sidecar.workspace.directories import Tree, has_openat2
from sidecar.workspace.paths import Policy
from sidecar.workspace.replacing import read_all

ENVIRONMENT_PREFIX = "SIDECAR_"
_MAX_BYTES = 4_000_000
# `tomllib` takes a time that grows with the square of the number of a key's words.
_MOST_DOTS = 1_000
# The workspace's files with the table that is ours in each, the weakest first.
_WORKSPACE_TABLES: dict[str, tuple[str, ...]] = {
    "pyproject.toml": ("tool", "sidecar"),
    "sidecar.toml": (),
}
_AT = re.compile(r"\(at line (\d+), column (\d+)\)$")


class Scope(StrEnum):
    """Who may decide a setting: the user alone, or a workspace for itself too."""

    USER = "user"
    WORKSPACE = "workspace"


class Settings(BaseModel):
    """All settings; environment variables are the names in capitals after ``SIDECAR_``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    product: Annotated[
        Literal["roo", "zoo", "kilo", "bob"],
        Scope.WORKSPACE,
        Field(description="The agent whose reading of the mode file decides a diagnostic."),
    ] = "roo"
    timezone: Annotated[
        str,
        Scope.WORKSPACE,
        Field(description="IANA name of the workspace's zone; empty means the machine's."),
    ] = ""
    memory_line_limit: Annotated[
        int,
        Scope.WORKSPACE,
        Field(ge=10, le=100_000, description="Lines that persistent-memory.md may have."),
    ] = 300
    todo_limit_seconds: Annotated[
        int,
        Scope.WORKSPACE,
        Field(ge=1, description="How long a task of the plan may take, in seconds."),
    ] = 3600
    schedule_limit_seconds: Annotated[
        int,
        Scope.WORKSPACE,
        Field(ge=1, description="How long a scheduled run may take, in seconds."),
    ] = 7200
    ignore: Annotated[
        tuple[str, ...],
        Scope.WORKSPACE,
        Field(description="Codes of rules that are not run."),
    ] = ()
    protected: Annotated[
        tuple[str, ...],
        Scope.WORKSPACE,
        Field(description="Further glob patterns of files that no tool may read or change."),
    ] = ()
    catch_up: Annotated[
        Literal["latest", "none", "all"],
        Scope.WORKSPACE,
        Field(description="What happens to slots missed while the sidecar was down."),
    ] = "latest"
    runner: Annotated[
        str,
        Scope.WORKSPACE,
        Field(description="Which of the user's runners works on runs; `handoff` means nobody."),
    ] = "handoff"
    runner_for: Annotated[
        dict[str, str],
        Scope.WORKSPACE,
        Field(description="Other runners for single modes or schedules, by slug or id."),
    ] = {}
    rollback: Annotated[
        Literal["off", "on-failure"],
        Scope.WORKSPACE,
        Field(description="Whether a run that failed for good is undone."),
    ] = "off"
    planning_limit_seconds: Annotated[
        int, Scope.WORKSPACE, Field(ge=1, description="How long a planning run may take.")
    ] = 1800
    validation_limit_seconds: Annotated[
        int, Scope.WORKSPACE, Field(ge=1, description="How long a validation run may take.")
    ] = 900
    quality_limit_seconds: Annotated[
        int, Scope.WORKSPACE, Field(ge=1, description="How long a quality run may take.")
    ] = 1800
    idle_limit_seconds: Annotated[
        int,
        Scope.WORKSPACE,
        Field(ge=0, description="How long an agent in a run may say nothing; 0 is without limit."),
    ] = 0
    execute: Annotated[
        Literal["off", "serve", "always"],
        Scope.USER,
        Field(description="Which sidecars execute schedules: none, an explicit `serve`, or all."),
    ] = "serve"
    engine_url: Annotated[
        str,
        Scope.USER,
        Field(description="PostgreSQL database of a fleet; empty means SQLite on this machine."),
    ] = ""
    workspace_ids: Annotated[
        dict[str, str],
        Scope.USER,
        Field(description="Ids of workspaces in a fleet's database: an id, then its folder here."),
    ] = {}
    concurrent_runs: Annotated[
        int, Scope.USER, Field(ge=1, le=64, description="Runs that one process works on at once.")
    ] = 2
    runners: Annotated[
        dict[str, tuple[str, ...]],
        Scope.USER,
        Field(description="The user's own runners: a kind (`command`, `acp`), then the command."),
    ] = {}
    runner_environment: Annotated[
        dict[str, str],
        Scope.USER,
        Field(description="Variables for agents in runs, such as keys; values are never shown."),
    ] = {}
    on_escalation: Annotated[
        tuple[str, ...],
        Scope.USER,
        Field(description="Command that is called with a record when a run is given up."),
    ] = ()
    allowed_calls: Annotated[
        tuple[str, ...],
        Scope.USER,
        Field(description="Kinds of tool call that an agent in a run may make without a person."),
    ] = ("read", "search", "think", "edit")
    tests: Annotated[
        tuple[str, ...],
        Scope.WORKSPACE,
        Field(description="Arguments for pytest when the workspace's tests are run."),
    ] = ()
    test_lenses: Annotated[
        bool,
        Scope.WORKSPACE,
        Field(description="Whether editors show results and coverage above Python tests."),
    ] = False
    global_modes_file: Annotated[
        str,
        Scope.USER,
        Field(description="Path of the global custom_modes.yaml; names modes known everywhere."),
    ] = ""
    state_dir: Annotated[
        str,
        Scope.USER,
        Field(description="Folder in a workspace for reports, logs and backups."),
    ] = ".sidecar"
    host: Annotated[str, Scope.USER, Field(description="Address that HTTP listens on.")] = (
        "127.0.0.1"
    )
    port: Annotated[
        int, Scope.USER, Field(ge=0, le=65535, description="Port that HTTP listens on.")
    ] = 8080
    allowed_hosts: Annotated[
        tuple[str, ...],
        Scope.USER,
        Field(description="Further host names under which HTTP may be reached."),
    ] = ()
    interpreter: Annotated[
        str,
        Scope.USER,
        Field(description="Python that runs a workspace's tests; empty means the sidecar's."),
    ] = ""
    max_read_bytes: Annotated[
        int, Scope.USER, Field(ge=1, description="Bytes that one read may return.")
    ] = 1_000_000
    check_seconds: Annotated[
        float,
        Scope.USER,
        Field(gt=0, description="Seconds until a check of the system's status is given up."),
    ] = 0.05


def runner_of(settings: Settings, subject: str, mode: str | None) -> str:
    """The runner's name for a schedule's or task's id: its own, its mode's, the workspace's."""
    named = settings.runner_for
    return named.get(subject) or named.get(mode or "") or settings.runner


def executes(settings: Settings, *, explicit: bool) -> bool:
    """Whether a sidecar executes schedules.

    ``explicit`` is true for one that a person started to serve, false for one that an editor or an
    agent brought about.
    """
    return settings.execute == "always" or (explicit and settings.execute == "serve")


def scope_of(name: str) -> Scope:
    """The declared scope of a setting; raises KeyError for an unknown name."""
    metadata = Settings.model_fields[name].metadata
    return next(item for item in metadata if isinstance(item, Scope))


@dataclass(frozen=True)
class SettingProblem:
    """A value that was not taken: where it stands, which one, and why.

    ``at`` is the line and column of what is no TOML, both from 1, None for the end of the text.
    """

    path: str
    name: str
    message: str
    cause: Cause
    meant: str = ""
    at: tuple[int, int] | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The setting's key in its file."""
        return (*_WORKSPACE_TABLES.get(self.path, ()), self.name)


@dataclass(frozen=True)
class LoadedSettings:
    """The settings in force, and what was ignored on the way."""

    settings: Settings
    problems: tuple[SettingProblem, ...] = ()


@dataclass(frozen=True)
class _Value:
    """A value found for a setting, and where."""

    path: str
    value: Any


def load(
    root: Path | None, user_file: Path, environ: Mapping[str, str] = os.environ, **flags: Any
) -> LoadedSettings:
    """The settings of a workspace: flags, environment, user's file, then the workspace's files.

    Never raises: a value of the wrong type or scope is left out and named in ``problems``.
    """
    problems: list[SettingProblem] = []
    found: dict[str, _Value] = {}
    for path, table, scopes in _tables(root, user_file, problems):
        found |= _accepted(path, table, scopes, problems)
    found |= {name: _Value("environment", value) for name, value in _environment(environ)}
    found |= {name: _Value("flags", value) for name, value in flags.items()}
    return LoadedSettings(_validated(found, problems), tuple(problems))


def problems_in(path: str, text: str) -> tuple[SettingProblem, ...]:
    """What would not be taken of a workspace's settings file with this text."""
    problems: list[SettingProblem] = []
    read = partial(text.encode, "utf-8", "replace")
    table = _table(path, read, _WORKSPACE_TABLES[path], problems)
    _validated(_accepted(path, table, {Scope.WORKSPACE}, problems), problems)
    return tuple(problems)


def _validated(found: dict[str, _Value], problems: list[SettingProblem]) -> Settings:
    """The settings of these values; those that cannot be are left out and named."""
    while True:
        try:
            return Settings.model_validate({name: each.value for name, each in found.items()})
        except ValidationError as error:
            for name, message in {str(e["loc"][0]): e["msg"] for e in error.errors()}.items():
                path = found.pop(name).path
                told = f"`{name}` is not taken: {message}."
                problems.append(SettingProblem(path, name, told, Cause.VALUE))


def _tables(
    root: Path | None, user_file: Path, problems: list[SettingProblem]
) -> Iterator[tuple[str, dict[str, Any], set[Scope]]]:
    """Each file's table with the scopes that it may set, the weakest file first."""
    if root is not None:
        for name, keys in _WORKSPACE_TABLES.items():
            read = partial(_stranger, root, name)
            yield name, _table(name, read, keys, problems), {Scope.WORKSPACE}
    yield user_file.name, _table(user_file.name, user_file.read_bytes, (), problems), set(Scope)


def _stranger(root: Path, name: str) -> bytes:
    """A workspace's settings file, which may be any trap; raises OSError, SidecarError."""
    tree = Tree(root.resolve(), fast=has_openat2())
    real = tree.canonical(name)
    Policy().check(real)
    descriptor = tree.open(real)
    try:
        data = read_all(descriptor, _MAX_BYTES)
    finally:
        os.close(descriptor)
    if len(data) > _MAX_BYTES:
        raise OSError(errno.EFBIG, f"it has over {_MAX_BYTES:,} bytes")
    return data


def _table(
    name: str, read: Callable[[], bytes], keys: tuple[str, ...], problems: list[SettingProblem]
) -> dict[str, Any]:
    try:
        data = _parsed(read().decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        told, cause = f"It cannot be read: {error.strerror}.", Cause.UNREADABLE
    except SidecarError as error:
        told, cause = f"It is not read: {error.message}", Cause.UNREADABLE
    except (UnicodeDecodeError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else "not UTF-8 text"
        told, cause = f"It is {why}.", Cause.UNREADABLE
    except tomllib.TOMLDecodeError as error:
        told, cause = f"It is not valid TOML, so nothing in it is in force: {error}.", Cause.SYNTAX
    else:
        return _within(data, keys)
    found = _AT.search(told.rstrip("."))
    at = (int(found[1]), int(found[2])) if found else None
    problems.append(SettingProblem(name, "", told, cause, at=at))
    return {}


def _parsed(text: str) -> Any:
    if any(line.count(".") > _MOST_DOTS for line in text.split("\n")):
        raise OSError(errno.EFBIG, f"a line of it has over {_MOST_DOTS:,} dots")
    return tomllib.loads(text)


def _within(data: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    for key in keys:
        data = data.get(key, {}) if isinstance(data, dict) else {}
    return data if isinstance(data, dict) else {}


def _accepted(
    path: str, table: dict[str, Any], scopes: set[Scope], problems: list[SettingProblem]
) -> dict[str, _Value]:
    values: dict[str, _Value] = {}
    for name, value in table.items():
        if isinstance(value, dict) and name not in Settings.model_fields:
            continue  # a sub-table belongs to another reader, such as the validation harness
        if name not in Settings.model_fields:
            meant = nearest(name, Settings.model_fields) or ""
            guess = f" Did you mean `{meant}`?" if meant else ""
            told = f"There is no setting `{name}`.{guess}"
            problems.append(SettingProblem(path, name, told, Cause.UNKNOWN, meant))
        elif scope_of(name) not in scopes:
            told = f"`{name}` is the user's to set; the workspace's value is ignored."
            told += " Your own config.toml may set it."
            problems.append(SettingProblem(path, name, told, Cause.SCOPE))
        else:
            values[name] = _Value(path, value)
    return values


def _environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Settings named by environment variables; lists are written with commas, tables as JSON."""
    for name, field in Settings.model_fields.items():
        text = environ.get(f"{ENVIRONMENT_PREFIX}{name.upper()}")
        if text is not None:
            yield name, _read(text, field.default)


def _read(text: str, default: Any) -> Any:
    """A variable's text as the type that the setting's default has, else the text itself."""
    if isinstance(default, tuple):
        return tuple(word for word in text.split(",") if word)
    if isinstance(default, dict):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
