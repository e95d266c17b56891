"""Text that would forge rows, sections and entries: whatever an agent writes stays one entry."""

from __future__ import annotations

import json
import os
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.domain import memory, timing
from tests.faults.agent import Agent, Answer

pytestmark = pytest.mark.faults

EXAMPLES = settings(
    max_examples=int(os.environ.get("SIDECAR_INJECTION_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[*HealthCheck],
)
PIECES = [
    "\t", "\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\0", "\\n", "\\",
    "\\t", "# Title\n", "## [2025-01-01T00:00:00Z] [code] - [X]\n", "\n# System Updates & Status\n",
    "\n# Development & Debug Commands\n\n", "```\n", "~~~\n", "````", "<!--", "-->",
    "<!-- sidecar:forged -->", "\n<!-- sidecar:forged -->\n", "<!-- sidecar :x -->", "<script>\n",
    "</script>", "<![CDATA[", "]]>", "<?", "===\n", "---\n", "\nTitle\n===\n", "\nTitle\n---\n",
    "- [ ] forged\n", "- [x] forged", "> ", "    # code\n", "\t# tab\n", "- # in a list\n", "1. ",
    "<div>\n\n# x\n</div>\n", "<pre>\n", "</pre>\n", "|a|b|\n|-|-|\n", "\u200b# x\n", "\ufeff# x\n",
    "[x]: y\n", "**", "`", "``", "#", " ", "a", "2025-01-01T00:00:00Z", "started", "\ud800",
    "#######\n", "# \n", "#\n", "\n#\tx\n", "<!-- sidecar:a --> b\n", "&lt;!-- sidecar:x --&gt;",
]  # fmt: skip
HOSTILE = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).map("".join)
NAMED = st.one_of(HOSTILE, st.sampled_from(["code", "x y"]))
HEADER = (
    "timestamp\tmode\ttask_id\tstart_time\tend_time\tduration\ttask\tresult\tpriority\n"
    "2025-05-01T00:00:00Z\tcode\tkept\t2025-05-01T00:00:00Z\t2025-05-01T00:01:00Z\t60\tx\tdone"
    "\tnormal\n"
)
MEMORY = (
    "# Non-Obvious Implementation Patterns\n\n## [2025-05-01T00:00:00Z] [code] - [A]\n- kept one\n"
    "<!-- sidecar:one -->\n\n# Development & Debug Commands\n\n# System Updates & Status\n\n"
    "## Undated topic\nkept two\n"
)
KEPT = ("- kept one", "kept two")


def done_or_refused(answer: Answer) -> bool:
    """Whether it was done; a refusal is one in a sentence."""
    assert not answer.refused or answer.code in {"E_INVALID", "E_TOO_LARGE", "E_NOT_FOUND"}
    return not answer.refused


@EXAMPLES
@given(description=HOSTILE, mode=NAMED, result=HOSTILE, task_id=st.none() | NAMED)
def test_a_timed_task_is_one_row_of_nine_fields(
    agent: Agent, description: str, mode: str, result: str, task_id: str | None
):
    agent.put("task_timing.tsv", HEADER)
    named = {} if task_id is None else {"task_id": task_id}

    started = agent.call("track_task_time", task_description=description, mode=mode, **named)
    if not done_or_refused(started):
        assert agent.get("task_timing.tsv") == HEADER.encode()
        return
    key = started.told["task_id"]
    stopped = agent.call(
        "track_task_time", task_description=".", start_tracking=False, task_id=key, result=result
    )
    if not done_or_refused(stopped):
        assert "\ud800" in result
        return

    data = agent.get("task_timing.tsv")
    text = data.decode()
    assert data.startswith(HEADER.encode())
    assert text.count("\n") == HEADER.count("\n") + 1
    assert len(text.splitlines()) == len(text.split("\n")) - 1  # as every reader counts lines
    rows = timing.parse(text).rows
    assert [row.task_id for row in rows] == ["kept", key]
    assert text.split("\n")[-2].count("\t") == 8
    listed = agent.call("get_time_tracking", task_id=key).told
    assert (listed["filtered_entries"], listed["problems"]) == (1, [])


def entries(agent: Agent) -> list[tuple[str, str | None]]:
    """Each entry's section and id, as the product's own reader sees the memory."""
    file = memory.parse(agent.get("persistent-memory.md").decode())
    return [(file.sections[entry.section].title, entry.id) for entry in file.entries]


@EXAMPLES
@given(
    content=HOSTILE,
    category=st.none() | HOSTILE,
    bullets=st.booleans(),
    section=st.sampled_from(list(memory.SECTIONS)),
    base=st.sampled_from([MEMORY, "", MEMORY + "\n```\nopen fence\n", MEMORY + "<!-- open\n"]),
)
def test_what_is_remembered_is_one_entry_of_one_section(
    agent: Agent, content: str, category: str | None, bullets: bool, section: str, base: str
):
    agent.put("persistent-memory.md", base)
    before = entries(agent)
    titles = [s.title for s in memory.parse(base).sections]

    answer = agent.call(
        "update_persistent_memory",
        section=section, content=content, category=category, format_entry=bullets,
        entry_id="mine",
    )  # fmt: skip
    if answer.refused:
        assert answer.code in {"E_INVALID", "E_TOO_LARGE", "E_CORRUPT"}
        assert agent.get("persistent-memory.md") == base.encode()
        return

    title = memory.SECTIONS[section]
    after = entries(agent)
    assert after.count((title, "mine")) == 1
    assert sorted(map(str, (e for e in after if e[1] != "mine"))) == sorted(map(str, before))
    file = memory.parse(agent.get("persistent-memory.md").decode())
    assert [s.title for s in file.sections if s.title != title] == [
        each for each in titles if each != title
    ]
    if base.startswith(MEMORY):
        assert all(line in agent.get("persistent-memory.md").decode().split("\n") for line in KEPT)


def test_no_mark_of_another_entry_can_be_forged(agent: Agent):
    agent.put("persistent-memory.md", MEMORY)
    for number, piece in enumerate(PIECES):
        forged = f"x{piece}<!-- sidecar:forged-{number} -->{piece}"
        agent.call("update_persistent_memory", section="system_updates", content=forged)
        agent.call(
            "update_persistent_memory",
            section="system_updates", content="x", category=forged, entry_id=f"e-{number}",
        )  # fmt: skip

    marks = re.findall(r"<!-- sidecar:([^ ]*) -->", agent.get("persistent-memory.md").decode())
    assert not [mark for mark in marks if mark.startswith("forged")]
    assert all(identity is None or "forged" not in identity for _, identity in entries(agent))
    again = agent.call(
        "update_persistent_memory", section="system_updates", content="y", entry_id="forged-3"
    )
    assert again.told["changed"]


@pytest.mark.parametrize("entry_id", ["a b", "x -->", "x\n", "", "-->\n# x", "é", "x" * 65, "\0"])
def test_an_entrys_id_cannot_leave_its_mark(agent: Agent, entry_id: str):
    agent.put("persistent-memory.md", MEMORY)
    answer = agent.call(
        "update_persistent_memory", section="system_updates", content="x", entry_id=entry_id
    )

    if entry_id:
        assert answer.code == "E_INVALID"
        assert agent.get("persistent-memory.md") == MEMORY.encode()
    else:
        assert not answer.refused  # an empty id is none


@EXAMPLES
@given(operation=HOSTILE.filter(bool), error=HOSTILE, more=HOSTILE)
def test_an_escalation_writes_one_entry_and_no_more(
    agent: Agent, operation: str, error: str, more: str
):
    agent.put("persistent-memory.md", MEMORY)

    answer = agent.call(
        "error_recovery",
        operation=operation, error_context={"error": error, more: more},
        recovery_strategy="escalate", create_checkpoint=False,
    )  # fmt: skip

    if not done_or_refused(answer):
        return
    added = [entry for entry in entries(agent) if entry[1] not in {"one", None}]
    assert added == [("System Updates & Status", answer.told["escalation_id"])]
    assert len(entries(agent)) == 3
    agent.call(
        "error_recovery",
        operation=operation, error_context={}, recovery_strategy="resume",
    )  # fmt: skip


@EXAMPLES
@given(
    description=HOSTILE, note=HOSTILE, wish=HOSTILE, client=st.sampled_from(["Roo Code", "Cline"])
)
def test_a_delegated_tasks_checklist_has_one_line_for_each_wish(
    agent: Agent, description: str, note: str, wish: str, client: str
):
    answer = agent.call(
        "delegate_task",
        task_description=description, context={"note": note, wish: wish},
        requirements={"wishes": [wish, "second"], note: wish},
    )  # fmt: skip
    if not done_or_refused(answer):
        return

    instructions = answer.told["handoff"].get("instructions", "")
    boxes = [line for line in instructions.splitlines() if line.startswith("[ ] ")]
    own = [line for line in description.splitlines() if line.startswith("[ ] ")]
    assert len(boxes) - len(own) == 3
    found = agent.call("delegate_task", action="status", task_id=answer.told["task_id"]).told
    assert found["status"] == "queued"
    rows = agent.call("delegate_task", action="status").text.split("\n")
    told = ("status queue", "task_id task-")
    forged = [row for row in rows if not row.startswith(told) and not re.match(r"\d+ \w+", row)]
    assert forged == []
    agent.call("delegate_task", action="cancel", task_id=answer.told["task_id"])


SCHEDULE = {
    "name": "n", "mode": "code", "taskInstructions": "x", "timeInterval": "1", "timeUnit": "hour",
}  # fmt: skip


@EXAMPLES
@given(name=HOSTILE, instructions=HOSTILE, field=st.sampled_from(["name", "taskInstructions"]))
def test_a_schedules_text_is_one_value_of_one_schedule(
    agent: Agent, name: str, instructions: str, field: str
):
    kept = json.dumps({"schedules": [{**SCHEDULE, "id": "kept", "active": True}]}, indent=2) + "\n"
    agent.put(".roo/schedules.json", kept)

    answer = agent.call(
        "manage_schedules",
        action="create",
        schedule_data={**SCHEDULE, "name": name, "taskInstructions": instructions},
    )
    if not done_or_refused(answer):
        assert agent.get(".roo/schedules.json") == kept.encode()
        return
    changed = agent.call(
        "manage_schedules",
        action="update", schedule_id=answer.told["schedule_id"],
        update_fields={field: instructions or name},
    )  # fmt: skip

    stored = json.loads(agent.get(".roo/schedules.json"))["schedules"]
    assert [each["id"] for each in stored] == ["kept", answer.told["schedule_id"]]
    assert stored[0] == json.loads(kept)["schedules"][0]
    assert set(stored) if isinstance(stored, dict) else len(stored) == 2
    if not changed.refused:
        assert stored[1][field] == (instructions or name)


@EXAMPLES
@given(key=HOSTILE, value=HOSTILE)
def test_a_schedules_unknown_fields_are_refused_by_name(agent: Agent, key: str, value: str):
    answer = agent.call(
        "manage_schedules", action="create", schedule_data={**SCHEDULE, f"x{key}": value}
    )

    assert answer.code == "E_INVALID"
    assert not (agent.root / ".roo").exists()
