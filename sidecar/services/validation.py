"""The tool that checks the workspace and runs its tests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services import trust, validation_runs
from sidecar.services.checkup import CHECKUPS, CheckLine
from sidecar.services.context import Context
from sidecar.services.tool import Category, Request, Result, tool

SHOWN_CHECKS = 40
SHOWN_MESSAGE = 600
SHOWN_LINES = 10
CANCEL_SECONDS = 15.0
MEGABYTE = 1_000_000
_ARTEFACTS = (".xml", ".json", ".md", ".html", ".sarif")
# What the sidecar itself needs to tell how a run stands.
_OWN = frozenset({"request.json", "progress.json"})

ValidationType = Literal[
    "basic", "comprehensive", "config", "syntax", "lint", "tests", "coverage", "benchmark",
    "tools", "transports", "system_health", "file_integrity", "orchestrator_files",
    "modes_configuration",
]  # fmt: skip

_BASIC = tuple(CHECKUPS)
# What the harness runs for a type, and whether it executes the workspace's code.
_HARNESS: dict[str, tuple[tuple[str, ...], bool]] = {
    "syntax": (("syntax",), False),
    "tools": (("tools",), False),
    "transports": (("transports",), False),
    "lint": (("lint", "types"), True),
    "tests": (("tests",), True),
    "coverage": (("tests", "coverage"), True),
    "benchmark": (("benchmark",), True),
    "comprehensive": (
        ("syntax", "lint", "types", "tests", "coverage", "benchmark", "tools", "transports"),
        True,
    ),
}


class Options(BaseModel):
    """Finer wishes for a run."""

    model_config = ConfigDict(extra="forbid")

    max_size_mb: Annotated[float, Field(gt=0, description="for file_integrity")] = 10
    keyword: Annotated[str, Field(description="only tests that match, as pytest -k")] = ""


class RunValidationRequest(Request):
    """What to check, or which run to ask for."""

    validation_type: Annotated[ValidationType, Field(description="what to check")] = "basic"
    target_path: Annotated[str | None, Field(description="only this file or folder")] = None
    validation_options: Options | None = None
    fail_fast: Annotated[bool, Field(description="stop at the first failure")] = False
    run_id: Annotated[str | None, Field(description="ask for this run")] = None
    wait_seconds: Annotated[float, Field(ge=0, le=600, description="how long to wait")] = 45
    cancel: Annotated[bool, Field(description="stop run_id")] = False


class CategoryLine(BaseModel):
    """A category's counts; ``rate`` is passed over passed, failed and errors."""

    name: str
    verdict: str
    passed: int
    failed: int
    errors: int
    skipped: int
    rate: float | None
    seconds: float = 0
    reason: str = ""


class RunValidation(Result):
    """The report, or how far the run is; bad checks come first."""

    run_id: str
    status: Literal["running", "finished", "cancelled", "lost"]
    validation_type: str
    verdict: str
    progress: str = ""
    categories: list[CategoryLine] = Field(default_factory=list)
    checks: list[CheckLine] = Field(default_factory=list)
    truncated: bool = False
    coverage: str = ""
    benchmarks: list[str] = Field(default_factory=list)
    report: str = ""
    artefacts: list[str] = Field(default_factory=list)

    def summary(self) -> str:
        """Counts, what failed and where, what was not run."""
        lines = [f"Validation {self.validation_type}: {self.verdict} (run {self.run_id})."]
        if self.status == "running":
            lines.append(f"Still running, {self.progress}. Ask again with this run_id.")
        for each in self.categories:
            decided = each.passed + each.failed + each.errors
            told = f"- {each.name}: {each.verdict}, {each.passed}/{decided} passed"
            skipped = f", {each.skipped} skipped" if each.skipped else ""
            lines.append(told + skipped + (f"; {each.reason}" if each.reason else ""))
        lines += [_check_text(check) for check in self.checks if check.status != "passed"]
        if self.truncated:
            lines.append(f"More checks are in {self.report or 'the report'}.")
        lines += [text for text in (self.coverage, *self.benchmarks) if text]
        if self.report:
            lines.append(f"Report: {self.report}")
        if self.artefacts:
            lines.append(f"Also: {', '.join(self.artefacts)}")
        return "\n".join(lines)


def _check_text(check: CheckLine) -> str:
    place = f" ({check.evidence})" if check.evidence else ""
    hint = f" To do: {check.hint}" if check.hint else ""
    return f"{check.status.upper()} {check.id}{place}: {check.message}{hint}"


@tool(title="Run validation", category=Category.DEVELOPMENT)
def run_validation(context: Context, request: RunValidationRequest) -> RunValidation:
    """Check the workspace's files or run its tests, lint, coverage, benchmarks (if trusted).

    A long run returns run_id and status "running": call again with run_id.

    Example:
        {"validation_type": "file_integrity", "target_path": "TODO.md"}
        {"success": true, "status": "finished", "verdict": "passed"}
    """
    if request.run_id:
        return _asked(context, request.run_id, request)
    if request.cancel:
        raise SidecarError(
            ErrorCode.INVALID, "`cancel` needs the run_id of the run that is to stop."
        )
    kind = request.validation_type
    harness, executes = _HARNESS.get(kind, ((), False))
    trusted = trust.is_trusted(context)
    if executes and kind != "comprehensive":
        trust.require(context, f"run {kind}")
    target = _target(context, request.target_path)
    if harness:
        validation_runs.refuse_second(context)
    checks = _checkups(context, request, target)
    asked = {"type": kind, "child": bool(harness), **_narrowing(request, target)}
    run = validation_runs.create(context, asked)
    run.save("checks.json", [check.model_dump() for check in checks])
    stopped = request.fail_fast and any(check.status in ("failed", "error") for check in checks)
    if harness and not stopped:
        arguments = _arguments(context, request, harness, target, allow_code=executes and trusted)
        validation_runs.start(context, run, arguments)
        validation_runs.follow(context, run, request.wait_seconds)
    elif harness:
        run.save("request.json", {"type": kind, "child": False})
    return _result(run)


def _narrowing(request: RunValidationRequest, target: str) -> dict[str, Any]:
    """What keeps a run from looking at everything; results of others stay true beside it."""
    options = request.validation_options or Options()
    return {"target": target, "keyword": options.keyword, "fail_fast": request.fail_fast}


def _target(context: Context, target: str | None) -> str:
    """The target, confined; raises SidecarError E_PATH_OUTSIDE, E_NOT_FOUND."""
    if not target:
        return ""
    files = context.workspace.files
    if not files.exists(target) and next(iter(files.walk(target)), None) is None:
        raise SidecarError(ErrorCode.NOT_FOUND, f"There is no {target} to validate.")
    return target


def _checkups(context: Context, request: RunValidationRequest, target: str) -> list[CheckLine]:
    kind = request.validation_type
    wanted = _BASIC if kind in ("basic", "comprehensive") else (kind,)
    options = request.validation_options or Options()
    limit = int(options.max_size_mb * MEGABYTE)
    checks: list[CheckLine] = []
    for name in wanted:
        for check in CHECKUPS[name](context, target, limit) if name in CHECKUPS else ():
            checks.append(check)
            if request.fail_fast and check.status in ("failed", "error"):
                return checks
    return checks


def _arguments(
    context: Context,
    request: RunValidationRequest,
    categories: tuple[str, ...],
    target: str,
    *,
    allow_code: bool,
) -> list[str]:
    """The harness's command line; words of the caller never stand where an option could."""
    arguments = [f"--category={category}" for category in categories]
    arguments += ["--allow-code"] if allow_code else []
    arguments += ["--fail-fast"] if request.fail_fast else []
    if context.settings.interpreter:
        arguments.append(f"--python={context.settings.interpreter}")
    options = request.validation_options or Options()
    words = [f"./{target}"] if target else list(context.settings.tests)
    if options.keyword:
        arguments.append(f"--keyword={options.keyword}")
    return arguments + [f"--pytest={word}" for word in words]


def _asked(context: Context, run_id: str, request: RunValidationRequest) -> RunValidation:
    run = validation_runs.find(context, run_id)
    if request.cancel:
        validation_runs.cancel(run)
    seconds = max(request.wait_seconds, CANCEL_SECONDS) if request.cancel else request.wait_seconds
    validation_runs.follow(context, run, seconds)
    return _result(run)


def _result(run: validation_runs.Run) -> RunValidation:
    asked: dict[str, Any] = run.load("request.json") or {}
    report: dict[str, Any] = run.load("report.json") or {}
    if "problem" in report:
        hint = "Mend [tool.sidecar.validation] in pyproject.toml."
        raise SidecarError(ErrorCode.INVALID, str(report["problem"]), hint=hint)
    own = [CheckLine(**check) for check in run.load("checks.json") or []]
    checks = [*own, *(_from_report(check) for check in report.get("checks", []))]
    categories = [*_own_categories(own), *(_category(c) for c in report.get("categories", []))]
    status = run.status
    progress = run.load("progress.json") if status == "running" else None
    bad = [check for check in checks if check.status in ("failed", "error")]
    skipped = [check for check in checks if check.status == "skipped"]
    passed = [check for check in checks if check.status == "passed"]
    written = run.name("report.md") if report else run.name("checks.json")
    return RunValidation(
        success=not bad and status in ("running", "finished"),
        run_id=run.id,
        status=status,
        validation_type=str(asked.get("type", "")),
        verdict=_verdict(status, categories, report),
        progress=validation_runs.told(progress) if progress else "",
        categories=categories,
        checks=[*bad, *skipped, *passed][:SHOWN_CHECKS],
        truncated=len(checks) > SHOWN_CHECKS,
        coverage=_coverage(report),
        benchmarks=[_benchmark(item) for item in report.get("benchmarks", [])],
        report=f"{run.state.folder}/{written}",
        artefacts=_artefacts(run),
    )


def _artefacts(run: validation_runs.Run) -> list[str]:
    """The run's files that a person or another program can read, by their workspace paths."""
    names = run.state.names(run.name("").rstrip("/"))
    shown = (name for name in names if name.endswith(_ARTEFACTS) and name not in _OWN)
    return [f"{run.state.folder}/{run.name(name)}" for name in shown]


def _verdict(status: str, categories: list[CategoryLine], report: dict[str, Any]) -> str:
    if status in ("running", "lost", "cancelled"):
        return {"running": "not finished", "lost": "lost", "cancelled": "cancelled"}[status]
    words = [category.verdict for category in categories]
    if "failed" in words or report.get("verdict") == "failed":
        return "failed"
    if report and report.get("verdict") != "passed":
        return "incomplete"
    return "passed" if "passed" in words else "nothing to check"


def _from_report(check: dict[str, Any]) -> CheckLine:
    line = f":{check['line']}" if check["line"] else ""
    return CheckLine(
        id=check["id"],
        category=check["category"],
        status=check["status"],
        evidence=f"{check['file']}{line}" if check["file"] else "",
        message=check["message"][-SHOWN_MESSAGE:],
        hint=check["hint"],
    )


def _own_categories(checks: list[CheckLine]) -> list[CategoryLine]:
    names = dict.fromkeys(check.category for check in checks)
    return [_tally(name, [c for c in checks if c.category == name]) for name in names]


def _tally(name: str, checks: list[CheckLine]) -> CategoryLine:
    passed, failed, errors, skipped = (
        sum(check.status == status for check in checks)
        for status in ("passed", "failed", "error", "skipped")
    )
    decided = passed + failed + errors
    verdict = "failed" if failed + errors else "passed" if passed else "all skipped"
    return CategoryLine(
        name=name,
        verdict=verdict,
        passed=passed,
        failed=failed,
        errors=errors,
        skipped=skipped,
        rate=passed / decided if decided else None,
    )


def _category(entry: dict[str, Any]) -> CategoryLine:
    kept = {key: entry[key] for key in CategoryLine.model_fields if key in entry}
    return CategoryLine(**kept, reason="; ".join(entry["reasons"]))


def _coverage(report: dict[str, Any]) -> str:
    coverage = report.get("coverage")
    if not coverage:
        return "; ".join(report.get("coverage_missing", []))
    total = coverage["total"]
    if not total["denominator"]:
        return "Coverage: nothing to execute."
    kind = "statements and branches" if coverage["branches"] else "statements"
    percent = 100 * total["numerator"] / total["denominator"]
    told = f"Coverage: {total['numerator']} of {total['denominator']} {kind}, {percent:.1f} %."
    return told + _changed_coverage(coverage["changed"])


def _changed_coverage(changed: dict[str, Any] | None) -> str:
    if not changed or not changed["total"]["denominator"]:
        return ""
    total = changed["total"]
    missing = [f"{name}:{line}" for name, f in changed["files"].items() for line in f["missing"]]
    told = f" Of the statements changed since {changed['base']}: {total['numerator']} of "
    told += f"{total['denominator']}."
    return told + (f" Not executed: {', '.join(missing[:SHOWN_LINES])}." if missing else "")


def _benchmark(item: dict[str, Any]) -> str:
    ratio = f", {item['ratio']:.2f} of the baseline" if item["ratio"] else ""
    return f"{item['name']}: median {item['median'] * 1000:.3f} ms{ratio}, {item['change']}"
