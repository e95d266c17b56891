"""An agent that does what its first argument says, in Claude Code's form of output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time


def say(**message: object) -> None:
    print(json.dumps(message), flush=True)


def finish(subtype: str = "success", *, is_error: bool = False) -> None:
    usage = {"input_tokens": 7, "output_tokens": 3}
    say(type="result", subtype=subtype, is_error=is_error, result="All done.", usage=usage,
        total_cost_usd=0.25)  # fmt: skip


def work() -> None:
    call = {"type": "tool_use", "id": "c1", "name": "Read", "input": {"path": "a"}}
    say(type="assistant", message={"content": [{"type": "text", "text": "I read."}, call]})
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "text"}
    say(type="user", message={"content": [result]})


def hang(seconds: float = 600) -> None:
    time.sleep(seconds)


def spawn(code: str, *, session: bool) -> None:
    subprocess.Popen([sys.executable, "-c", code], start_new_session=session)


def family() -> None:
    """Three descendants: in the group, in a session of its own, and an orphan that ignores INT."""
    sleep = "import time; time.sleep(600)"
    spawn(sleep, session=False)
    spawn(sleep, session=True)
    deaf = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)];" + sleep
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {deaf!r}])"
    subprocess.run([sys.executable, "-c", code], check=True, start_new_session=True)


def deaf() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    work()
    hang()


def flood() -> None:
    block = "x" * 1_000_000
    while True:
        print(block, flush=True)


def errors() -> None:
    sys.stderr.write("no such model\n" * 200_000)
    sys.exit(3)


def tell(content: str) -> None:
    say(type="assistant", message={"content": content})
    finish()


def plain() -> None:
    print(f"plain {sys.argv[-1]}")
    sys.exit(int(sys.argv[2]))


BEHAVIOURS = {
    "success": (work, finish),
    "failure": (lambda: finish("error_during_execution", is_error=True),),
    "silent-exit": (work,),
    "more-work": (finish, work),
    "hang": (work, hang),
    "linger": (finish, hang),
    "deaf": (deaf,),
    "flood": (flood,),
    "long-line": (lambda: print("y" * 3_000_000), work, finish),
    "family": (family, work, finish),
    "family-hang": (family, work, hang),
    "environment": (lambda: tell(json.dumps(dict(os.environ))),),
    "input": (lambda: tell(f"{len(sys.stdin.read())} characters"),),
    "arguments": (lambda: tell(json.dumps(sys.argv[2:])),),
    "plain": (plain,),
    "errors": (errors,),
}

if __name__ == "__main__":
    for act in BEHAVIOURS[sys.argv[1]]:
        act()
