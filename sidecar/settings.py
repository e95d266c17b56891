"""Settings: every one declares its scope, ``user`` or ``workspace``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Scope(StrEnum):
    """Who may decide a setting: the user alone, or a workspace for itself too."""

    USER = "user"
    WORKSPACE = "workspace"


class Settings(BaseSettings):
    """All settings; environment variables are the names in capitals after ``SIDECAR_``."""

    model_config = SettingsConfigDict(env_prefix="SIDECAR_", extra="ignore", frozen=True)

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
    tests: Annotated[
        tuple[str, ...],
        Scope.WORKSPACE,
        Field(description="Arguments for pytest when the workspace's tests are run."),
    ] = ()
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


def scope_of(name: str) -> Scope:
    """The declared scope of a setting; raises KeyError for an unknown name."""
    metadata = Settings.model_fields[name].metadata
    return next(item for item in metadata if isinstance(item, Scope))


@dataclass(frozen=True)
class SettingProblem:
    """A value that was not taken: where it stands, which one, and why."""

    path: str
    name: str
    message: str


@dataclass(frozen=True)
class LoadedSettings:
    """The settings in force, and what was ignored on the way."""

    settings: Settings
    problems: tuple[SettingProblem, ...] = ()


def _table(path: Path, *keys: str) -> tuple[dict[str, Any], str]:
    try:
        data: Any = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return {}, ""
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return {}, str(error)
    for key in keys:
        data = data.get(key, {}) if isinstance(data, dict) else {}
    return (data if isinstance(data, dict) else {}), ""


def _accepted(
    path: str, table: Mapping[str, Any], scopes: set[Scope]
) -> tuple[dict[str, Any], list[SettingProblem]]:
    values: dict[str, Any] = {}
    problems: list[SettingProblem] = []
    for name, value in table.items():
        if isinstance(value, dict):
            continue  # a sub-table belongs to another reader, such as the validation harness
        if name not in Settings.model_fields:
            problems.append(SettingProblem(path, name, f"There is no setting `{name}`."))
        elif scope_of(name) not in scopes:
            text = f"`{name}` is the user's to set; the workspace's value is ignored."
            problems.append(SettingProblem(path, name, text))
        else:
            values[name] = value
    return values, problems


def load(root: Path | None, user_file: Path, **flags: Any) -> LoadedSettings:
    """The settings of a workspace: flags, environment, user's file, then the workspace's files.

    Never raises: a value of the wrong type or scope is left out and named in ``problems``.
    """
    sources = [(user_file, (), set(Scope), user_file.name)]
    if root is not None:
        workspace = {Scope.WORKSPACE}
        sources = [
            (root / "pyproject.toml", ("tool", "sidecar"), workspace, "pyproject.toml"),
            (root / "sidecar.toml", (), workspace, "sidecar.toml"),
            *sources,
        ]
    merged: dict[str, Any] = {}
    problems: list[SettingProblem] = []
    for path, keys, scopes, shown in sources:
        table, error = _table(path, *keys)
        if error:
            problems.append(SettingProblem(shown, "", f"{shown} is not valid TOML: {error}."))
        values, refused = _accepted(shown, table, scopes)
        merged |= values
        problems += refused
    return _validated(merged, flags, problems)


def _validated(
    files: dict[str, Any], flags: dict[str, Any], problems: list[SettingProblem]
) -> LoadedSettings:
    environment = set(Settings().model_fields_set)
    values = {k: v for k, v in files.items() if k not in environment} | flags
    while True:
        try:
            return LoadedSettings(Settings(**values), tuple(problems))
        except ValidationError as error:
            for detail in error.errors():
                name = str(detail["loc"][0])
                values.pop(name)
                problems.append(SettingProblem("", name, f"`{name}`: {detail['msg']}."))
