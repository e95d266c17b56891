"""What the stdio transport answers to lines that the SDK's own leaves unanswered."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faces.wire import Wire

SERVED = Path(__file__).with_name("served.py")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One server for the tests that leave it as it was: each start costs over a second."""
    folder = tmp_path_factory.mktemp("shared")
    home = {**os.environ, "SIDECAR_HOME": str(folder / "home")}
    wire = Wire([sys.executable, str(SERVED), str(folder)], env=home)
    wire.initialize()
    yield wire
    wire.kill()


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """A server of one test's own, which may end it."""
    wire = Wire([sys.executable, str(SERVED), str(tmp_path)])
    yield wire
    wire.kill()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{bad", -32700),
        (b"\xff\xfe", -32700),
        (b'"\\ud800"', -32700),
        (b"[" * 100_000, -32700),
        (b"NaN", -32700),
        (b"5", -32600),
        (b"[]", -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600),
        (b"{}", -32600),
        (b"x" * 17_000_000, -32600),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_line_that_is_no_message_is_answered_and_the_next_is_served(shared, line, code):
    shared.send(line)
    refusal = shared.receive()
    assert refusal["id"] is None
    assert refusal["error"]["code"] == code
    assert shared.request("ping", number="after") == {"jsonrpc": "2.0", "id": "after", "result": {}}


def test_a_message_with_wrong_params_is_refused_under_its_id(shared):
    answer = shared.request("ping", [], number=7)
    assert (answer["id"], answer["error"]["code"]) == (7, -32600)


def test_blank_lines_and_carriage_returns_are_no_messages(shared):
    shared.send(b"")
    shared.send(b"  \r")
    shared.send(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\r')
    assert shared.receive()["result"] == {}


def test_an_id_in_use_is_refused_and_free_again_after_the_answer(shared):
    params = {"name": "sleep", "arguments": {"seconds": 0.3}}
    message = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params}
    shared.send(message)
    shared.send(message)
    assert shared.receive()["error"]["code"] == -32600
    assert shared.receive()["result"]["structuredContent"]["slept"] == 0.3
    assert shared.call("sleep", {}, number=3)["result"]["isError"] is False


def test_a_cancelled_call_is_not_answered_and_its_id_is_free_again(shared):
    params = {"name": "sleep", "arguments": {"seconds": 5}}
    shared.send({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": params})
    cancelled = {"requestId": 4, "reason": "test"}
    shared.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled})
    assert shared.request("ping", number=4) == {"jsonrpc": "2.0", "id": 4, "result": {}}


def test_progress_is_told_only_where_a_token_was_sent(shared):
    first = shared.call("sleep", {}, number=1, _meta={"progressToken": 0})
    assert first["method"] == "notifications/progress"
    assert first["params"] == {"progressToken": 0, "progress": 1, "total": 2, "message": "half"}
    assert shared.receive()["id"] == 1
    assert shared.call("sleep", {}, number=2)["id"] == 2


def test_printing_does_not_reach_the_wire(wire):
    wire.initialize()
    assert wire.call("sleep", {})["result"]["structuredContent"]["slept"] == 0.0
    wire.close()
    assert b"a stray line" in wire.errors


def test_an_unexpected_failure_tells_a_reference_and_no_path(wire, tmp_path):
    wire.initialize()
    answer = wire.call("broken", {})
    told = answer["result"]["structuredContent"]
    assert answer["result"]["isError"] is True
    assert (told["success"], told["error_code"]) == (False, "E_IO")
    assert str(tmp_path) not in str(answer)
    assert "Traceback" not in str(answer)
    wire.close()
    reference = told["error"].partition("reference ")[2][:8]
    assert reference.encode() in wire.errors


def test_wrong_arguments_are_told_in_sentences_with_the_nearest_name(shared):
    answer = shared.call("sleep", {"secnds": 1, "name": 5})["result"]
    told = answer["structuredContent"]
    assert answer["isError"] is True
    assert told["error_code"] == "E_INVALID"
    assert "`secnds` is not a parameter of `sleep`. Did you mean `seconds`?" in told["error"]
    assert "`name`: input should be a valid string, not 5." in told["error"]
    assert told["error"] in answer["content"][0]["text"]


def test_arguments_may_come_as_json_text_but_must_be_an_object(shared):
    assert shared.call("sleep", '{"seconds": 0}')["result"]["isError"] is False
    for wrong in ("[1]", "nonsense", [], 5):
        answer = shared.call("sleep", wrong)
        assert answer["error"] == {"code": -32602, "message": "`arguments` must be an object."}


def test_a_tool_answers_to_its_old_name_and_an_unknown_one_gets_the_nearest(shared):
    assert shared.call("sleep_tool", {})["result"]["isError"] is False
    told = shared.call("slep", {})["result"]["structuredContent"]
    assert told["error_code"] == "E_NOT_FOUND"
    assert told["hint"] == "Did you mean `sleep`?"


def test_half_characters_in_an_answer_are_replaced_and_not_fatal(shared):
    structured = shared.call("echo", {})["result"]["structuredContent"]
    assert structured["name"] == "a?b"


def test_an_unset_field_is_left_out_of_the_structured_result(shared):
    structured = shared.call("sleep", {})["result"]["structuredContent"]
    assert set(structured) == {"success", "timestamp", "slept"}


def test_requests_sent_before_the_end_of_input_are_answered(wire):
    wire.initialize()
    wire.send({"jsonrpc": "2.0", "id": 9, "method": "ping"})
    assert wire.close() == 0
    assert wire.receive() == {"jsonrpc": "2.0", "id": 9, "result": {}}


def test_the_end_of_input_ends_the_process_while_a_tool_runs(wire):
    wire.initialize()
    params = {"name": "sleep", "arguments": {"seconds": 50}}
    wire.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    assert wire.request("ping", number=2)["id"] == 2
    began = time.monotonic()
    assert wire.close() == 0
    assert time.monotonic() - began < 25  # far below the tool's time; the figure is a benchmark's


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("busy", [False, True])
def test_a_signal_ends_the_process(wire, number, busy):
    wire.initialize()
    if busy:
        params = {"name": "sleep", "arguments": {"seconds": 50}}
        wire.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    assert wire.request("ping", number=2)["id"] == 2
    wire.process.send_signal(number)
    assert wire.process.wait(25) == 0


def test_a_call_past_its_deadline_is_answered_and_the_server_serves_on(tmp_path):
    wire = Wire([sys.executable, str(SERVED), str(tmp_path), "0.2"])
    try:
        wire.initialize()
        answer = wire.call("sleep", {"seconds": 50})["result"]
        assert answer["isError"] is True
        assert answer["structuredContent"]["error_code"] == "E_TIMEOUT"
        assert wire.call("sleep", {}, number=2)["result"]["isError"] is False
    finally:
        wire.kill()


def test_calls_run_beside_each_other(wire):
    wire.initialize()
    params = {"name": "sleep", "arguments": {"seconds": 40}}
    for number in range(5):
        wire.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
    assert wire.call("sleep", {}, number="quick")["id"] == "quick"


def test_a_client_of_2026_is_served_without_a_session(wire):
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    found = wire.request("server/discover", {"_meta": meta}, number="d")["result"]
    assert "2026-07-28" in found["supportedVersions"]
    listed = wire.request("tools/list", {"_meta": meta}, number="l")["result"]
    assert [each["name"] for each in listed["tools"]] == ["sleep", "broken", "echo"]
    answer = wire.call("sleep", {}, number="c", _meta=meta)["result"]
    assert answer["structuredContent"]["slept"] == 0.0


def test_a_request_before_the_handshake_is_told_what_is_missing(wire):
    early = wire.request("tools/list")["error"]
    assert early["code"] == -32602
    assert early["message"] == "tools/list came before the handshake; send initialize first."
    unknown = wire.request("server/discover", number=2)["error"]
    assert unknown["code"] == -32601
    assert "io.modelcontextprotocol/protocolVersion" in unknown["message"]
    assert wire.initialize()["result"]["protocolVersion"] == "2025-06-18"
    unknown = wire.request("tools/destroy", number=3)["error"]
    assert (unknown["code"], unknown["data"]) == (-32601, "tools/destroy")
    assert unknown["message"] == "This server has no method tools/destroy."


def test_wrong_params_are_told_by_name_and_never_by_value(shared):
    error = shared.request("resources/read", {"url": "secret", "uri": {"secret": 1}})["error"]
    assert error["code"] == -32602
    assert "`uri`" in error["message"]
    assert "secret" not in str(error)
    assert "`name`" in shared.request("tools/call", {"arguments": {}})["error"]["message"]
