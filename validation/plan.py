"""What is run for a path: its own plan in ``[tool.sidecar.validation]``, else what is found."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from validation import discovery, thresholds
from validation.thresholds import ThresholdError, Thresholds

StageKind = Literal[
    "syntax", "check", "command", "pytest", "benchmark", "mutation", "tools", "transports"
]


# Categories that a project may have whether its plan names them or not.
USUAL = ("syntax", "config", "lint", "types", "tests", "benchmark", "tools", "transports")


class PlanError(ValueError):
    """The plan cannot be used; the text says what to change."""


@dataclass(frozen=True)
class Stage:
    """One child process of the run.

    ``executes`` says that it runs the workspace's code, ``full`` that only a full run has it,
    ``optional`` that the run is complete without it. ``limit`` is in seconds. ``lane`` says what
    it may share the machine with: a stage ``beside`` runs while those of the main lane do, one
    ``alone`` waits for all of them. ``paths`` and ``sample`` are for mutation: the files to mutate,
    where not the changed functions, and how many mutants to try.
    """

    name: str
    category: str
    kind: StageKind = "command"
    argv: tuple[str, ...] = ()
    limit: float = 600.0
    executes: bool = True
    optional: bool = False
    full: bool = False
    lane: Literal["main", "beside", "alone"] = "main"
    interpreter: str = ""
    module: str = ""
    junit: str = ""
    figures: str = ""
    hint: str = ""
    paths: tuple[str, ...] = ()
    sample: int = 0

    @property
    def sorts(self) -> bool:
        """Whether its tests are sorted into the plan's categories."""
        return self.kind == "pytest" and self.category == "tests"


@dataclass(frozen=True)
class TestCategory:
    """Tests that are counted apart: those below one of the paths or with one of the markers."""

    name: str
    paths: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run and its verdict.

    ``changed_from`` is the revision that changed lines are counted from; empty lets git tell.
    ``benchmark_runs`` is how many processes at most measure a benchmark to be sure of it.
    """

    root: Path
    stages: tuple[Stage, ...]
    categories: tuple[TestCategory, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)
    coverage: bool = True
    changed_from: str = ""
    benchmark_runs: int = 12
    stall_seconds: float = 300.0
    memory: int = 0
    keep_path: bool = False
    python: str = ""
    keyword: str = ""

    def category_of(self, file: str, markers: tuple[str, ...]) -> str:
        """Where a test is counted; the first category that names it has it."""
        for category in self.categories:
            if any(marker in markers for marker in category.markers) or any(
                discovery.below(file, path) for path in category.paths
            ):
                return category.name
        return "tests"


_STAGE_KEYS = {
    "name": str, "category": str, "kind": str, "command": list, "limit": (int, float),
    "executes": bool, "optional": bool, "full": bool, "lane": str, "interpreter": str,
    "module": str, "junit": str, "figures": str, "hint": str,
    "paths": list, "sample": int,
}  # fmt: skip
_KEYS = {
    "stage": list, "category": list, "thresholds": dict, "tests": list, "coverage": bool,
    "stall": (int, float), "limit": (int, float), "memory": int, "keep_path": bool, "syntax": bool,
    "changed_from": str, "benchmark_runs": int,
}  # fmt: skip
_CATEGORY_KEYS = {"name": str, "paths": list, "markers": list}


def load(root: Path, python: str = "", pytest: tuple[str, ...] = (), keyword: str = "") -> Plan:
    """The plan of a folder; raises PlanError.

    ``pytest`` replaces all that the plan says of the tests.
    """
    table = _table(root)
    _check_keys(table, _KEYS, "[tool.sidecar.validation]")
    if pytest:
        table["tests"] = list(pytest)
        table["stage"] = [each for each in table.get("stage", ()) if not _runs_tests(each)]
    stages = _stages(root, table)
    categories = tuple(_test_category(entry) for entry in table.get("category", []))
    return Plan(
        root=root,
        stages=stages,
        categories=categories,
        thresholds=_thresholds(table, stages, categories),
        coverage=table.get("coverage", True),
        changed_from=table.get("changed_from", ""),
        benchmark_runs=table.get("benchmark_runs", 12),
        stall_seconds=table.get("stall", 300.0),
        memory=table.get("memory", 0),
        keep_path=table.get("keep_path", False),
        keyword=keyword,
        python=python,
    )


def _thresholds(
    table: dict[str, Any], stages: Iterable[Stage], categories: Iterable[TestCategory]
) -> Thresholds:
    names = {stage.category for stage in stages} | {category.name for category in categories}
    try:
        return thresholds.read(table.get("thresholds", {}), names | set(USUAL))
    except ThresholdError as error:
        raise PlanError(str(error)) from error


def _table(root: Path) -> dict[str, Any]:
    try:
        data: Any = discovery.pyproject(root)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else error  # without its path
        raise PlanError(f"pyproject.toml cannot be read: {told}.") from error
    for key in ("tool", "sidecar", "validation"):
        data = data.get(key, {}) if isinstance(data, dict) else None
    if not isinstance(data, dict):
        raise PlanError("[tool.sidecar.validation] in pyproject.toml must be a table.")
    return data


def _check_keys(table: Any, known: Mapping[str, Any], where: str) -> None:
    if not isinstance(table, dict):
        raise PlanError(f"{where} must be a table.")
    for key, value in table.items():
        if key not in known:
            raise PlanError(f"{where} has no key `{key}`; it knows {', '.join(sorted(known))}.")
        if not isinstance(value, known[key]) or (
            isinstance(value, bool) and known[key] is not bool
        ):
            raise PlanError(f"`{key}` in {where} has a value of the wrong type: {value!r}.")


def _test_category(entry: Any) -> TestCategory:
    _check_keys(entry, _CATEGORY_KEYS, "[[tool.sidecar.validation.category]]")
    if not entry.get("name"):
        raise PlanError("A [[tool.sidecar.validation.category]] has no name.")
    words = (tuple(map(str, entry.get(key, ()))) for key in ("paths", "markers"))
    return TestCategory(str(entry["name"]), *words)


def _stages(root: Path, table: dict[str, Any]) -> tuple[Stage, ...]:
    own = tuple(_stage(entry) for entry in table.get("stage", []))
    # Arguments for the tests that are found ask for these tests beside the plan's own.
    replaced = {stage.category for stage in own} - ({"tests"} if "tests" in table else set())
    found = (stage for stage in _found(root, table) if stage.category not in replaced)
    order = ["syntax", "config", "lint", "types"]
    return tuple(
        sorted(
            (*found, *own),
            key=lambda stage: order.index(stage.category) if stage.category in order else 9,
        )
    )


def _runs_tests(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and entry.get("category") == "tests"
        and entry.get("kind") == "pytest"
    )


def _stage(entry: Any) -> Stage:
    _check_keys(entry, _STAGE_KEYS, "[[tool.sidecar.validation.stage]]")
    if not entry.get("name") or not entry.get("category"):
        raise PlanError("A [[tool.sidecar.validation.stage]] needs a name and a category.")
    values = {key: value for key, value in entry.items() if key != "command"}
    values["paths"] = tuple(map(str, entry.get("paths", ())))
    argv = tuple(map(str, entry.get("command", ())))
    kind = values.get("kind", "command")
    if kind not in StageKind.__args__:  # type: ignore[attr-defined]
        raise PlanError(f"The stage `{entry['name']}` has the unknown kind `{kind}`.")
    if values.get("lane", "main") not in ("main", "beside", "alone"):
        raise PlanError(f"The stage `{entry['name']}` has an unknown lane.")
    if kind == "command" and not argv:
        raise PlanError(f"The stage `{entry['name']}` has no command.")
    # A plan comes with the workspace: it cannot vouch for itself.
    values["executes"] = kind in ("command", "pytest", "benchmark", "mutation")
    return Stage(**values, argv=argv)


def _found(root: Path, table: dict[str, Any]) -> list[Stage]:
    limit = float(table.get("limit", 600))
    stages = []
    if table.get("syntax", True):
        stages.append(Stage("syntax", "syntax", "syntax", executes=False))
    if discovery.has_agent_files(root):
        stages += [
            Stage("sidecar check", "config", "check", executes=False, optional=True),
            Stage("tools", "tools", "tools", limit=120, executes=False, optional=True),
            Stage(
                "transports", "transports", "transports", limit=120, executes=False, optional=True
            ),
        ]
    if discovery.has_ruff(root):
        argv = ("{python}", "-P", "-m", "ruff", "check", "--output-format=concise", ".")
        stages.append(Stage("ruff check", "lint", argv=argv, module="ruff"))
    if discovery.has_mypy(root):
        stages.append(Stage("mypy", "types", argv=("{python}", "-P", "-m", "mypy"), module="mypy"))
    arguments = tuple(map(str, table.get("tests", ())))
    if discovery.has_python(root) or arguments:
        stages.append(Stage("pytest", "tests", "pytest", arguments, limit))
    if (root / "benchmarks").is_dir() and discovery.has_tests(root / "benchmarks"):
        where = ("benchmarks",)
        stages.append(
            Stage("benchmarks", "benchmark", "benchmark", where, limit, optional=True, lane="alone")
        )
    return stages
