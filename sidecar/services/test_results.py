"""What the kept runs of the validation harness know of each test: the newest word counts.

A run of one file or of some tests says nothing of the others, so what an older run found out about
them stays true until a run that could have found out anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from sidecar.domain.errors import SidecarError
from sidecar.services import validation_runs
from sidecar.services.context import Context
from sidecar.workspace import paths

REPORTED = f"{validation_runs.FOLDER}/reported"
_DECIDED = frozenset({"passed", "failed", "error", "skipped"})
# Categories of such a verdict have not seen all that they could have.
_PARTIAL = frozenset({"not run", "incomplete"})
_LARGEST = 1e12


@dataclass(frozen=True, slots=True)
class TestResult:
    """How a test, or another check, ended last.

    ``line`` counts from 1; ``quote`` is the line before and the line itself as they were, empty
    where nobody knows. ``run`` is the run's id, ``started`` when it began, in seconds since 1970.
    """

    __test__ = False

    id: str
    category: str
    status: str
    file: str
    line: int | None
    seconds: float
    message: str
    quote: str
    run: str
    started: float

    @property
    def bad(self) -> bool:
        """Whether it failed or broke."""
        return self.status in ("failed", "error")


@dataclass(frozen=True)
class TestResults:
    """The results by category and id, and the last coverage of each file.

    ``coverage`` is what was executed over all that could be: statements, and branches too where
    ``branches`` says so.
    """

    __test__ = False

    results: tuple[TestResult, ...] = ()
    coverage: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    branches: bool = False

    def of_file(self, path: str) -> list[TestResult]:
        """The results of the tests that a file defines, by their ids."""
        return [each for each in self.results if each.id.partition("::")[0] == path]


@dataclass
class _Known:
    """What has been gathered from newer runs while older ones are read."""

    results: dict[tuple[str, str], TestResult] = field(default_factory=dict)
    files: set[tuple[str, str]] = field(default_factory=set)
    categories: set[str] = field(default_factory=set)
    targets: set[tuple[str, str]] = field(default_factory=set)

    def take(self, result: TestResult) -> bool:
        """Keep a result unless a newer run could have told it."""
        category, owner = result.category, result.id.partition("::")[0]
        whole_module = owner == result.id and (category, owner) in self.files
        if (
            category in self.categories
            or whole_module
            or any(category == c and _within(owner, target) for c, target in self.targets)
        ):
            return False
        self.results.setdefault((category, result.id), result)
        return True


def latest(context: Context) -> TestResults:
    """What is known now; a run that was cancelled, and a report that is not ours, tell nothing."""
    known = _Known()
    coverage: dict[str, tuple[int, int]] | None = None
    branches = False
    settled: set[str] = set()
    for run, asked in _runs(context):
        kind = repr([asked.get(name) for name in ("type", "categories", "full")])
        # Reports are large; a run has nothing to add to a later one of all that it looked at.
        report = None if kind in settled else run.load("report.json")
        if not isinstance(report, dict) or report.get("cancelled"):
            continue
        if _gather(known, run.id, report, asked):
            settled.add(kind)
        if coverage is None and not _narrowed(asked) and isinstance(report.get("coverage"), dict):
            coverage = dict(_coverage(report["coverage"]))
            branches = bool(report["coverage"].get("branches"))
    return TestResults(tuple(known.results.values()), coverage or {}, branches)


def _runs(context: Context) -> list[tuple[validation_runs.Run, dict[str, Any]]]:
    """The kept runs with what was asked for, the newest first."""
    found = []
    for run_id in validation_runs.ids(context):
        run = validation_runs.Run(context.workspace.state, run_id)
        asked = run.load("request.json")
        if isinstance(asked, dict) and _is_number(asked.get("started")):
            found.append((run, asked))
    return sorted(found, key=lambda each: -each[1]["started"])


def _gather(known: _Known, run_id: str, report: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Take what is new in a report; whether the run saw all that it could have."""
    taken = [each for each in _results(report, run_id, asked["started"]) if known.take(each)]
    known.files |= {
        (each.category, each.id.partition("::")[0]) for each in taken if "::" in each.id
    }
    if asked.get("keyword") or asked.get("fail_fast"):
        return False
    categories = {
        str(each.get("name")): str(each.get("verdict")) not in _PARTIAL
        for each in _dicts(report.get("categories"))
    }
    ran = {name for name, whole in categories.items() if whole}
    if target := asked.get("target"):
        known.targets |= {(name, str(target)) for name in ran}
        return False
    known.categories |= ran
    return bool(ran) and len(ran) == len(categories)


def _narrowed(asked: dict[str, Any]) -> bool:
    return bool(asked.get("target") or asked.get("keyword") or asked.get("fail_fast"))


def _within(path: str, target: str) -> bool:
    return path == target or path.startswith(f"{target.rstrip('/')}/")


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _results(report: dict[str, Any], run_id: str, started: float) -> Iterator[TestResult]:
    """The report's checks; what a stranger planted there is passed over."""
    for check in _dicts(report.get("checks")):
        line, seconds, status = check.get("line"), check.get("seconds"), str(check.get("status"))
        if not isinstance(check.get("id"), str) or status not in _DECIDED:
            continue
        yield TestResult(
            id=check["id"],
            category=str(check.get("category") or ""),
            status=status,
            file=_clean(check.get("file")),
            line=line if _is_number(line) and isinstance(line, int) and line > 0 else None,
            seconds=float(seconds) if _is_number(seconds) else 0.0,
            message=str(check.get("message") or ""),
            quote=str(check.get("quote") or ""),
            run=run_id,
            started=started,
        )


def _clean(path: Any) -> str:
    """A path inside the workspace, else nothing."""
    try:
        return paths.clean(path) if isinstance(path, str) and path else ""
    except SidecarError:
        return ""


def _coverage(data: dict[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    files = data.get("files")
    for name, ratio in files.items() if isinstance(files, dict) else ():
        if isinstance(ratio, dict):
            executed, all_ = ratio.get("numerator"), ratio.get("denominator")
            if _is_number(executed) and _is_number(all_):
                yield str(name), (int(executed), int(all_))


def _is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a number that a report could hold."""
    return isinstance(value, (int, float)) and 0 <= value <= _LARGEST
