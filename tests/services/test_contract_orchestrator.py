"""The contract of the orchestrator's tools, clause by clause."""

from __future__ import annotations

import json

import pytest

from sidecar.services.context import Context
from tests.services.contract import LOOP, REVIEW, Clause, Table, World

T = Table()
S, M = "get_schedule_status", "manage_schedules"
NEW = {"name": "N", "mode": "code", "task_instructions": "Do.", "time_interval": 5,
       "time_unit": "minute"}  # fmt: skip

# 1. get_schedule_status
T.answers(S, "keeps the original keys and adds what is computed", {},
          {"schedules": [{"id": LOOP, "timeInterval": "10", "is_active": True, "expired": False,
                          "computed_next_execution": "2025-05-01T10:30:00.000Z",
                          "overdue_seconds": 225}]})  # fmt: skip
T.refuses(S, "NOT_FOUND", "an unknown schedule is refused", {"schedule_id": "174500000000"})


@T.row(S, "the snake_case dialect is read like the other")
def _(w: World) -> None:
    entry = {"id": "s", "name": "n", "mode": "code", "task_instructions": "x", "active": True,
             "schedule_type": "time", "time_interval": "10", "time_unit": "minute",
             "start_date": "2025-05-01", "start_hour": "09", "start_minute": "00"}  # fmt: skip
    w.write(".roo/schedules.json", json.dumps({"schedules": [entry]}))
    (shown,) = w.call(S)["schedules"]
    assert shown["computed_next_execution"] == "2025-05-01T10:30:00.000Z"
    assert shown["time_interval"] == "10"


@T.row(S, "broken entries are named by index and id and the others kept")
def _(w: World) -> None:
    entries = [*w.schedules(), 5, {"id": "bad", "name": "b", "timeInterval": "x"}]
    w.write(".roo/schedules.json", json.dumps({"schedules": entries}))
    answer = w.call(S)
    assert [each["id"] for each in answer["schedules"]][:2] == [LOOP, REVIEW]
    assert {(p.get("index"), p["id"]) for p in answer["problems"]} >= {(2, ""), (3, "bad")}


@T.row(S, "format_output=false gives the stored bytes with unknown fields, and the etag")
def _(w: World) -> None:
    text = w.read(".roo/schedules.json").replace('"name": "Loop"', '"x" :  1.0,\n"name": "Loop"')
    w.write(".roo/schedules.json", text)
    answer = w.call(S, schedule_id=LOOP, format_output=False)
    assert answer["stored"][0] in text
    assert answer["schedules"][0]["x"] == 1
    assert answer["etag"] == w.state()[".roo/schedules.json"]


@T.row(S, "an expired and an inactive schedule are told, the latter only on demand")
def _(w: World) -> None:
    w.call(M, action="update", schedule_id=LOOP, update_fields={"expirationDate": "2025-04-30"})
    w.call(M, action="deactivate", schedule_id=REVIEW)
    (shown,) = w.call(S)["schedules"]
    assert shown["expired"] is True
    assert [s["is_active"] for s in w.call(S, include_inactive=True)["schedules"]] == [True, False]


@T.row(S, "due_within_seconds leaves out what is due later")
def _(w: World) -> None:
    w.call(M, action="create", schedule_data=NEW | {"id": "far", "start_date": "2026-01-01"})
    assert "far" not in [each["id"] for each in w.call(S, due_within_seconds=60)["schedules"]]


@T.row(S, "last_result and running_task_id come from delegated tasks and the time log")
def _(w: World) -> None:
    given = {"task_description": "run", "target_mode": "code", "context": {"schedule_id": LOOP}}
    task = w.call("delegate_task", **given)["task_id"]
    lease = w.call("delegate_task", action="claim", task_id=task)["lease_token"]
    assert w.call(S)["schedules"][0]["running_task_id"] == task
    w.call("delegate_task", action="complete", task_id=task, lease_token=lease, result="ok")
    assert w.call(S)["schedules"][0]["last_result"] == "done"
    w.call(M, action="update", schedule_id=REVIEW, update_fields={"lastTaskId": "row_1"})
    w.call("track_task_time", task_description="x", task_id="row_1")
    assert w.call(S)["schedules"][1]["running_task_id"] == "row_1"
    w.call("track_task_time", task_description="", start_tracking=False, task_id="row_1",
           result="failed")  # fmt: skip
    assert w.call(S)["schedules"][1]["last_result"] == "failed"


@T.row(S, "a missing file is NOT_FOUND, a broken one CORRUPT with its place and a good backup")
def _(w: World) -> None:
    kept = w.call("backup_file", file_path=".roo/schedules.json")["backup_id"]
    w.write(".roo/schedules.json", '{"schedules": [\n  {"id" "x"}\n]}')
    told = w.refused(S, "CORRUPT")
    assert "line 2, column" in told
    assert kept in told
    (w.root / ".roo/schedules.json").unlink()
    w.refused(S, "NOT_FOUND")


# 2. manage_schedules
T.refuses(M, "NOT_FOUND", "delete of an unknown id", {"action": "delete", "schedule_id": "nope"})
T.refuses(M, "NOT_FOUND", "activate of an unknown id", {"action": "activate", "schedule_id": "n"})
T.refuses(M, "INVALID", "an action that there is not", {"action": "explode"})
T.refuses(M, "INVALID", "an unknown unit", {"action": "create", "schedule_data":
          NEW | {"time_unit": "week"}})  # fmt: skip
T.refuses(M, "INVALID", "an interval of 0", {"action": "create", "schedule_data":
          NEW | {"time_interval": 0}})  # fmt: skip
T.refuses(M, "INVALID", "a day that is none", {"action": "create", "schedule_data":
          NEW | {"selected_days": {"someday": True}}})  # fmt: skip
T.refuses(M, "INVALID", "a date that is none", {"action": "create", "schedule_data":
          NEW | {"start_date": "soon"}})  # fmt: skip
T.refuses(M, "INVALID", "a mode that does not exist", {"action": "create", "schedule_data":
          NEW | {"mode": "nobody"}})  # fmt: skip
T.refuses(M, "INVALID", "another taskInteraction than wait, interrupt, skip", {"action": "update",
          "schedule_id": LOOP, "update_fields": {"taskInteraction": "queue"}})  # fmt: skip
T.refuses(M, "CONFLICT", "an id that is taken", {"action": "create", "schedule_data":
          NEW | {"id": LOOP}})  # fmt: skip
T.refuses(M, "CONFLICT", "an etag that is not the file's", {"action": "deactivate",
          "schedule_id": LOOP, "if_match": "0" * 64})  # fmt: skip
T.answers(M, "activate of an active one succeeds without a write", {"action": "activate",
          "schedule_id": LOOP}, {"success": True, "changed": False})  # fmt: skip
T.refuses(M, "UNAVAILABLE", "run_now where there is no queue of runs", {"action": "run_now",
          "schedule_id": LOOP})  # fmt: skip
T.answers(M, "resume of a schedule that nothing holds back changes nothing", {"action": "resume",
          "schedule_id": LOOP}, {"changed": False, "before": {}})  # fmt: skip
T.answers(M, "validate checks the whole file and writes nothing", {"action": "validate"},
          {"changed": False})  # fmt: skip


@T.row(M, "only the named fields change, every other byte stays")
def _(w: World) -> None:
    before = w.read(".roo/schedules.json")
    given = {"action": "update", "schedule_id": LOOP, "update_fields": {"time_interval": 15}}
    answer = w.call(M, **given)
    changed = before.replace('"timeInterval": "10"', '"timeInterval": "15"')
    assert w.read(".roo/schedules.json").replace(
        w.schedules()[0]["updatedAt"], "") == changed.replace(
        w.schedules()[0]["updatedAt"], "")  # fmt: skip
    assert (answer["before"], answer["after"]) == ({"timeInterval": "10"}, {"timeInterval": "15"})
    assert answer["backup_id"]
    assert answer["etag"] == w.state()[".roo/schedules.json"]


@T.row(M, "an unknown field name is refused with the likely one")
def _(w: World) -> None:
    given = {"action": "update", "schedule_id": LOOP, "update_fields": {"timeIntervall": 5}}
    assert "`timeInterval`" in w.refused(M, "INVALID", **given)


@T.row(M, "a caller's id is honoured and others never collide; file and folder are made")
def _(w: World) -> None:
    (w.root / ".roo/schedules.json").unlink()
    (w.root / ".roo").rmdir()
    assert w.call(M, action="create", schedule_data=NEW | {"id": "mine"})["schedule_id"] == "mine"
    made = {w.call(M, action="create", schedule_data=NEW)["schedule_id"] for _ in range(5)}
    assert len(made) == 5
    assert len(w.schedules()) == 6


# 3. track_task_time
K = "track_task_time"
T.refuses(K, "NOT_FOUND", "stopping an unknown task lists the open ones",
          {"task_description": "", "start_tracking": False, "task_id": "nope"})  # fmt: skip
T.refuses(K, "INVALID", "a task without a description", {"task_description": " "})
T.refuses(K, "INVALID", "a priority that there is not", {"task_description": "x", "priority": "p"})
T.refuses(K, "CONFLICT", "an id that is open", {"task_description": "x", "task_id": "loop_003"})


@T.row(K, "a start appends one row, a stop replaces exactly it; other bytes survive")
def _(w: World) -> None:
    w.write("task_timing.tsv", w.read("task_timing.tsv") + "# a comment\nforeign\trow\n")
    before = w.read("task_timing.tsv")
    started = w.call(K, task_description="a\tb\nc\\d", mode="code", task_id="t1")
    assert w.read("task_timing.tsv").startswith(before)
    row = w.read("task_timing.tsv")[len(before) :]
    assert row.count("\n") == 1
    assert "a\\tb\\nc\\\\d" in row
    assert started["deadline"] == "2025-05-01T11:23:45.678Z"
    stopped = w.at(seconds=90).call(K, task_description="", start_tracking=False, task_id="t1")
    assert (stopped["duration"], stopped["limit_exceeded"]) == (90, False)
    assert w.read("task_timing.tsv").startswith(before)


@T.row(K, "a duration of 0 is allowed and the only open task needs no name")
def _(w: World) -> None:
    w.call(K, task_description="", start_tracking=False, task_id="loop_003", result="done")
    w.call(K, task_description="x", task_id="t")
    assert w.call(K, task_description="", start_tracking=False)["duration"] == 0
    assert "No task is open" in w.refused(K, "NOT_FOUND", task_description="", start_tracking=False)


@T.row(K, "a stop says whether the task's own limit was exceeded; the next of that id has none")
def _(w: World) -> None:
    w.call(K, task_description="x", task_id="t", limit_seconds=10)
    w.refused(K, "CONFLICT", task_description="x", task_id="t", limit_seconds=9999)
    stop = {"task_description": "", "start_tracking": False, "task_id": "t"}
    stopped = w.at(seconds=11).call(K, **stop)
    assert (stopped["limit_seconds"], stopped["limit_exceeded"]) == (10, True)
    assert w.call(K, task_description="x", task_id="t")["limit_seconds"] == 3600


@T.row(K, "a row that cannot be written is pending and completed by the next start")
def _(w: World) -> None:
    with w.context.workspace.store.transaction() as records:
        values = {"task_id": "late", "task": "x", "start_time": "2025-05-01T10:00:00Z",
                  "timestamp": "2025-05-01T10:00:00Z", "mode": "code", "end_time": "",
                  "duration": "", "result": "started", "priority": "todo"}  # fmt: skip
        records.put("pending_rows", "late", {"action": "append", "values": values})
    w.call(K, task_description="next")
    assert "\tlate\t" in w.read("task_timing.tsv")


# 4. get_time_tracking
G = "get_time_tracking"
T.refuses(G, "INVALID", "a date that is none", {"start_date": "yesterday"})
T.refuses(G, "INVALID", "an empty range", {"start_date": "2025-05-02", "end_date": "2025-05-01"})
T.refuses(G, "INVALID", "a limit of 0", {"limit": 0})
T.refuses(G, "INVALID", "a group that there is not", {"group_by": "moon"})
T.answers(G, "a date alone is its whole day", {"start_date": "2025-04-30", "end_date":
          "2025-04-30"}, {"filtered_entries": 2})  # fmt: skip
T.answers(G, "statistics are over all that match, entries newest first", {"limit": 1},
          {"order": "newest first", "entries": [{"task_id": "loop_003"}], "statistics":
           {"count": 4, "total_seconds": 1631, "p50_seconds": 350, "p95_seconds": 1200},
           "truncated": True})  # fmt: skip
T.answers(G, "figures per mode and per priority", {},
          {"mode_statistics": {"validation-unit": {"count": 1}},
           "priority_statistics": {"schedule": {"count": 2}}})  # fmt: skip
T.answers(G, "rows that do not parse are quoted with their lines", {},
          {"problem_count": 1, "problems": [{"line": 4}]})  # fmt: skip


@T.row(G, "overdue is judged by each task's own limit, and counted beyond those listed")
def _(w: World) -> None:
    for number in range(25):
        w.call(K, task_description="x", task_id=f"t{number}", limit_seconds=10)
    w.call(K, task_description="x", task_id="long", limit_seconds=99_999)
    later = w.at(hours=2)
    report = later.call(G, open_only=True)
    assert report["overdue_count"] == 25 + 1
    assert (len(report["open_tasks"]), report["statistics"]["open"]) == (20, 27)
    assert (
        report["open_tasks"][0] | {"task_id": "long", "overdue": False} == report["open_tasks"][0]
    )
    assert later.call("get_system_status")["orchestrator"]["timed_tasks"]["overdue"] == 26
    assert "26 overdue in all" in later.text(G, open_only=True)


# 5., 6. memory
R, U = "get_persistent_memory", "update_persistent_memory"
T.refuses(R, "INVALID", "a section that there is not", {"section": "gossip"})
T.refuses(R, "INVALID", "a pattern that is none", {"search_pattern": "(a"})
T.refuses(R, "INVALID", "a time that is none", {"since": "once"})
T.answers(R, "short names and titles mean the same", {"section": "System Updates & Status"},
          {"matching": 1, "max_lines": 300, "entries": [{"category": "STATUS",
           "timestamp": "2025-04-30T10:02:00.000Z", "first_line": 15}]})  # fmt: skip
T.refuses(U, "INVALID", "a section that there is not", {"section": "gossip", "content": "x"})
T.refuses(U, "INVALID", "no content", {"section": "system_updates", "content": " "})
T.refuses(U, "TOO_LARGE", "an entry over 100 lines",
          {"section": "system_updates", "content": "x\n" * 120})  # fmt: skip


@T.row(R, "entries come newest first, and reads see what was written a moment ago")
def _(w: World) -> None:
    w.call(U, section="development_commands", content="newest")
    answer = w.call(R, include_metadata=True)
    assert "newest" in answer["entries"][0]["text"]
    assert answer["headroom"] == 300 - answer["line_count"]
    assert answer["metadata"]["sha256"] == w.state()["persistent-memory.md"]
    assert w.call(R, since="2025-05-01")["matching"] == 1


@T.row(U, "exactly one entry at the end of exactly that section, its headings demoted")
def _(w: World) -> None:
    before = w.call(R)
    answer = w.call(U, section="implementation_patterns", content="# A\n# B <!-- sidecar:x -->")
    after = w.call(R)
    assert after["total_entries"] == before["total_entries"] + 1
    assert [s["section"] for s in after["sections"]] == [s["section"] for s in before["sections"]]
    entry = next(e for e in after["entries"] if e.get("entry_id") == answer["entry_id"])
    assert entry["section"] == "Non-Obvious Implementation Patterns"
    assert [entry["first_line"], entry["last_line"]] == answer["line_range"]
    assert f"<!-- sidecar:{answer['entry_id']} -->" in w.read("persistent-memory.md")


@T.row(U, "a missing file and section are made")
def _(w: World) -> None:
    (w.root / "persistent-memory.md").unlink()
    assert w.call(U, section="system_updates", content="x")["changed"]
    assert w.call(R)["total_entries"] == 1


@T.row(U, "beyond the budget the oldest generated entries move to the archive, and never refuses")
def _(w: World) -> None:
    first = w.call(U, section="system_updates", content="the first")["entry_id"]
    moved = []
    for number in range(8):
        answer = w.at(minutes=number).call(
            U, section="system_updates", content="\n".join(f"line {n}" for n in range(60))
        )
        moved += answer["archived_entries"]
    assert moved
    assert answer["line_count"] <= 300
    assert f"sidecar:{first}" in w.read("persistent-memory.archive/2025-05.md")
    assert f"sidecar:{first}" not in w.read("persistent-memory.md")


@T.row(U, "the same entry_id is never written twice, not even from the archive")
def _(w: World) -> None:
    given = {"section": "system_updates", "content": "x", "entry_id": "once"}
    assert w.call(U, **given)["changed"] is True
    before = w.read("persistent-memory.md")
    assert w.call(U, **given)["changed"] is False
    assert w.read("persistent-memory.md") == before


# 7. get_todo_status
D = "get_todo_status"
T.answers(D, "totals are the whole file's; each task has line, depth, parent, section", {},
          {"total": 6, "completed": 2, "sections": [{"section": "Library"}],
           "todos": [{"line": 6, "depth": 0, "section": "Library"},
                     {"line": 8, "depth": 1, "parent_line": 6}]})  # fmt: skip
T.refuses(D, "NOT_FOUND", "a section that there is not", {"section": "Nowhere"})
T.refuses(D, "INVALID", "a pattern that is none", {"search_pattern": "[z"})


@T.row(D, "nested, starred, plus and numbered lists count, fences do not")
def _(w: World) -> None:
    w.write("TODO.md", "* [ ] a\n  + [x] b\n\n1. [ ] c\n\n```\n- [ ] no\n```\n")
    answer = w.call(D, include_completed=True)
    assert [each["text"] for each in answer["todos"]] == ["a", "b", "c"]
    assert answer["total"] == 3
    (w.root / "TODO.md").unlink()
    w.refused(D, "NOT_FOUND")


# 8. delegate_task
Q = "delegate_task"
T.refuses(Q, "INVALID", "create without a description", {})
T.refuses(Q, "NOT_FOUND", "an unknown mode", {"task_description": "x", "target_mode": "nobody"})
T.refuses(
    Q,
    "INVALID",
    "a deadline that is none",
    {"task_description": "x", "target_mode": "code", "deadline": "soon"},
)
T.refuses(Q, "INVALID", "a deadline that is past", {"task_description": "x",
          "target_mode": "code", "deadline": "2025-01-01"})  # fmt: skip
T.refuses(Q, "UNAVAILABLE", "execute without a runner", {"task_description": "x", "execute": True})
T.refuses(Q, "NOT_FOUND", "an unknown task", {"action": "status", "task_id": "task-0"})
T.refuses(Q, "INVALID", "complete without a task", {"action": "complete"})
T.refuses(Q, "NOT_FOUND", "a claim where nothing waits", {"action": "claim"})
T.refuses(Q, "TOO_LARGE", "a context over 64 kB", {"task_description": "x", "target_mode": "code",
          "context": {"x": "y" * 70_000}})  # fmt: skip
T.answers(
    Q,
    "auto-selection gives candidates with reasons; nobody executes by itself",
    {"task_description": "Write unit tests and run the test suite"},
    {
        "status": "queued",
        "executor": "none",
        "queue_position": 1,
        "depth": 0,
        "mode_assigned": "validation-unit",
        "candidates": [{"slug": "validation-unit"}],
    },
)
T.answers(Q, "a client without modes gets plain instructions", {"task_description": "x",
          "target_mode": "code"}, {"executor": "none"})  # fmt: skip


@T.row(Q, "a task goes from queued to claimed, running and done, and survives a restart")
def _(w: World) -> None:
    task = w.call(Q, task_description="x", target_mode="code")["task_id"]
    w.context.workspace.close()
    claimed = w.call(Q, action="claim", task_id=task)
    held = {"task_id": task, "lease_token": claimed["lease_token"]}
    assert claimed["status"] == "claimed"
    w.refused(Q, "CONFLICT", action="claim", task_id=task)
    w.refused(Q, "CONFLICT", action="renew", task_id=task, lease_token="other")
    assert w.call(Q, action="renew", **held)["status"] == "running"
    assert w.call(Q, action="complete", **held, result="r")["status"] == "done"
    assert w.call(Q, action="status", task_id=task)["result"] == "r"


@T.row(Q, "the third failure escalates")
def _(w: World) -> None:
    task = w.call(Q, task_description="x", target_mode="code")["task_id"]
    for number in range(3):
        late = w.at(hours=number * 0.3)
        lease = late.call(Q, action="claim", task_id=task)["lease_token"]
        told = late.call(Q, action="fail", task_id=task, lease_token=lease, result="no")
    assert told["status"] == "escalated"
    assert "ESCALATION" in w.read("persistent-memory.md")


@T.row(Q, "at most five levels deep, half the parent's budget each, and no cycle")
def _(w: World) -> None:
    parent = w.call(Q, task_description="t0", target_mode="code")
    asked = {"task_description": "T0 ", "target_mode": "code"}
    assert "cycle" in w.refused(Q, "CONFLICT", **asked, parent_task_id=parent["task_id"])
    for level in range(1, 6):
        child = w.call(Q, task_description=f"t{level}", target_mode="code",
                       parent_task_id=parent["task_id"])  # fmt: skip
        assert child["budget_seconds"] <= parent["budget_seconds"] / 2
        assert child["depth"] == level
        parent = child
    w.refused(Q, "LIMIT", task_description="t6", target_mode="code",
              parent_task_id=parent["task_id"])  # fmt: skip


@T.row(Q, "the same idempotency_key gives the same task, for another task it is a conflict")
def _(w: World) -> None:
    given = {"task_description": "x", "target_mode": "code", "idempotency_key": "k"}
    first, again = w.call(Q, **given), w.call(Q, **given)
    assert (first["task_id"], again["changed"]) == (again["task_id"], False)
    w.refused(Q, "CONFLICT", **given | {"task_description": "y"})


@T.row(Q, "a Roo-family client gets the call of new_task, to be made alone")
def _(w: World) -> None:
    given = {"task_description": "x", "target_mode": "code", "requirements": {"a": ["b"]}}
    handed = w.by("Roo Code").call(Q, **given)["handoff"]
    assert handed["tool"] == "new_task"
    assert set(handed["arguments"]) == {"mode", "message", "todos"}
    assert "alone" in handed["note"]
    assert "instructions" in w.by("codex").call(Q, **given)["handoff"]


@pytest.mark.parametrize("clause", T, ids=str)
def test_the_tool_keeps_its_contract(clause: Clause, context: Context):
    clause.proof(World(context))
