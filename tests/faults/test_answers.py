"""Hostile arguments to all 20 tools: no path, home, traceback or exception's name is ever told."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sidecar
from sidecar.domain.errors import ErrorCode
from sidecar.mcp import schema
from sidecar.services.registry import TOOLS
from tests.conftest import EXAMPLE
from tests.faults.agent import Agent

pytestmark = pytest.mark.faults

EXAMPLES = int(os.environ.get("SIDECAR_ANSWER_EXAMPLES", "25"))
ANY_SETTINGS = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[*HealthCheck]
)  # fmt: skip
# What Python says of itself; none of these words is in any sentence of ours.
PYTHON = re.compile(
    r"Traceback|File \"|\.py\b.*line \d|\b[A-Z][a-z]+(?:[A-Z][a-z]+)*(?:Error|Exception)\b|"
    r"\[Errno|object at 0x|<class |NoneType|pydantic|codec can't|site-packages|unexpectedly"
)
CODES = {code.value for code in ErrorCode}
TEXTS = [
    "", " ", "\0", "\ud800", "..", "../..", "/etc/passwd", "~", "~root", "%s%n", "${HOME}", "$(id)",
    "`id`", "TODO.md", ".roomodes", ".roo", ".roo/schedules.json", "task_timing.tsv", ".git/config",
    "persistent-memory.md", "a" * 5000, "\u202e", "\n", "-1", "--help", "0", "null", "NaN", "1e999",
    "{}", "[]", '{"a": 1}', "[" * 2000, "2025-13-45", "2025-05-01", "9999-12-31T23:59:59Z",
    "0000-00-00", "99999-01-01T00:00:00+99:99", "2025-05-01T10:00:00.999999999Z", "utf-8", "utf-16",
    "rot13", "zlib", "idna", "punycode", "unicode_escape", "mbcs", "undefined", "hex", "code",
    "builder", "architect", "*", "**/*.py", "[", "(a+)+$", "(?P<x", "implementation_patterns",
    "system_updates", "1:2:3", "1:nan:3", "-5", "999999999999999999999", "todo", "main-schedule",
]  # fmt: skip
NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 10, 500, 2**31, 2**53, 2**63, 10**30, 0.5, -0.0, 1e308, 5e-324]
) | st.floats() | st.integers()  # fmt: skip
LEAF = st.none() | st.booleans() | NUMBERS | st.sampled_from(TEXTS) | st.text(max_size=8)
ANYTHING = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(TEXTS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECT = st.dictionaries(
    st.sampled_from(
        ["name", "mode", "taskInstructions", "timeInterval", "timeUnit", "startDate",
         "active", "id", "error", "path", "checkpoint_id", "message", "startHour", "selectedDays"]
    ) | st.text(max_size=5),
    ANYTHING,
    max_size=6,
)  # fmt: skip


def fitting(field: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema takes, so that the tool itself gets to see them."""
    low, high = field.get("minimum", field.get("exclusiveMinimum", 0)), field.get("maximum")
    by_type: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "integer": st.integers(low, high or 2**63),
        "number": st.floats(low, high or 1e6, exclude_min=low == 0),
        "array": st.lists(st.sampled_from(TEXTS), max_size=4),
        "object": OBJECT,
        "string": st.sampled_from(TEXTS) | st.text(max_size=20),
    }
    return st.sampled_from(field["enum"]) if "enum" in field else by_type[field["type"]]


def arguments(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments by the tool's input schema: most fit it, some are anything."""
    described = schema.of_input(TOOLS[name].request)
    fields = {
        field: fitting(kind)
        for field, kind in described["properties"].items()
        if field not in {"wait_seconds", "validation_type"}
    }
    required = {key: fields.pop(key) for key in described.get("required", [])}
    few = st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True)
    optional = few.flatmap(lambda names: st.fixed_dictionaries({n: fields[n] for n in names}))
    made = st.builds(lambda one, two: {**one, **two}, st.fixed_dictionaries(required), optional)
    if name == "run_validation":  # what starts a child process is another test's
        kinds = st.sampled_from(["basic", "config", "file_integrity", "modes_configuration"])
        more = st.fixed_dictionaries({"validation_type": kinds, "wait_seconds": st.just(0)})
        made = st.builds(lambda one, two: {**one, **two}, made, more)
    names = st.sampled_from([*described["properties"], *TEXTS])
    spoilt = st.dictionaries(names, ANYTHING, min_size=1, max_size=2)
    wrong = st.builds(lambda one, two: {**one, **two}, made, spoilt)
    return st.integers(0, 4).flatmap(lambda number: made if number else wrong)


@pytest.fixture
def busy(root: Path) -> Agent:
    """An agent on a copy of the sample workspace, with what is awkward to read beside it."""
    shutil.copytree(EXAMPLE, root, dirs_exist_ok=True)
    agent = Agent.at(root)
    agent.put("binary.bin", b"\xff\xfe\0\x80" * 50)
    agent.put("not-utf8.md", b"- [ ] caf\xe9\n")
    (root / "folder.txt").mkdir()
    (root / "dangling").symlink_to("nowhere")
    return agent


SECRETS = [
    str(Path.home()), os.path.realpath(sidecar.__path__[0]), sys.prefix, sys.base_prefix,
    f"/{getpass.getuser()}/",
]  # fmt: skip


def assert_discreet(agent: Agent, given: dict[str, Any], told: str) -> None:
    """Nothing of this machine or of Python is told that the caller did not write itself."""
    said = str(given) + "".join(TEXTS)
    for secret in (str(agent.root), str(agent.root.parent), *SECRETS):
        if secret not in {"/", "/usr"} and secret not in said:
            assert secret not in told
    for found in PYTHON.findall(told):
        assert found in said, told[:2000]


@pytest.fixture(scope="module")
def tally(figure: Callable[[str], None]) -> Iterator[dict[str, list[int]]]:
    count: dict[str, list[int]] = {}
    yield count
    calls = sum(each[0] for each in count.values())
    refused = sum(each[1] for each in count.values())
    figure(
        f"hostile arguments: {calls:,} calls of {len(count)}/20 tools, {refused:,} refused in a "
        f"sentence, 0 with a path, a home, a traceback or an exception's name"
    )


@pytest.mark.parametrize("name", TOOLS)
def test_no_answer_tells_of_the_machine_or_of_python(
    name: str, busy: Agent, tally: dict[str, list[int]]
):
    count = [0, 0]

    @ANY_SETTINGS
    @given(given_arguments=arguments(name))
    def attacked(given_arguments: dict[str, Any]) -> None:
        answer = busy.call(name, **{str(key): value for key, value in given_arguments.items()})
        count[0] += 1
        count[1] += answer.refused
        assert_discreet(busy, given_arguments, answer.everything)
        if answer.refused:
            assert answer.code in CODES
            assert answer.told["error"].rstrip().endswith((".", "?", ")")), answer.text
            assert len(answer.text) < 50_000

    attacked()
    tally[name] = count


@pytest.mark.parametrize("name", TOOLS)
def test_a_workspace_that_is_gone_is_told_without_its_path(name: str, busy: Agent):
    """The folder was deleted or unmounted under the server."""
    shutil.rmtree(busy.root)
    needed = {
        "manage_schedules": {"action": "delete", "schedule_id": "1"},
        "track_task_time": {"task_description": "x"}, "switch_mode": {"target_mode": "code"},
        "update_persistent_memory": {"section": "system_updates", "content": "x"},
        "delegate_task": {"task_description": "x"}, "read_project_file": {"file_path": "a"},
        "write_project_file": {"file_path": "a", "content": "x"},
        "search_in_files": {"pattern": "x"},
        "backup_file": {"file_path": "a"}, "restore_file": {"file_path": "a"},
        "error_recovery": {"operation": "x", "error_context": {}},
    }  # fmt: skip

    answer = busy.call(name, **needed.get(name, {}))

    assert_discreet(busy, {}, answer.everything)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may do everything")
def test_a_folder_without_permission_is_told_without_its_path(busy: Agent):
    (busy.root / ".roo").chmod(0)
    try:
        answer = busy.call("get_schedule_status")
    finally:
        (busy.root / ".roo").chmod(0o755)
    assert answer.code == "E_IO"
    assert_discreet(busy, {}, answer.everything)
