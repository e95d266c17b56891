"""``sidecar trust``, as a person calls it."""

from __future__ import annotations

from pathlib import Path


def test_it_shows_everything_and_showing_alone_grants_nothing(sidecar, example_workspace: Path):
    shown = sidecar("trust", "--show", "--schedules", "--workspace", example_workspace)

    assert shown.returncode == 0
    assert "Read TODO.md, finish its first open item" in shown.stdout
    assert "You write small, tested changes" in shown.stdout
    assert "Not trusted." in shown.stdout


def test_schedules_are_approved_one_by_one_or_all(sidecar, example_workspace: Path):
    here = ("--workspace", example_workspace)
    commands = sidecar("trust", *here)
    one = sidecar("trust", *here, "--schedules", "1745000000001")
    everything = sidecar("trust", *here, "--schedules")
    revoked = sidecar("trust", *here, "--revoke")
    again = sidecar("trust", *here, "--show")

    assert commands.stdout.splitlines()[-2:] == [
        "Loop: waits, nobody has approved this schedule yet",
        "Morning review: waits, nobody has approved this schedule yet",
    ]
    assert one.stdout.splitlines()[-2:] == [
        "Loop: may run",
        "Morning review: waits, nobody has approved this schedule yet",
    ]
    assert everything.stdout.splitlines()[-2:] == ["Loop: may run", "Morning review: may run"]
    assert revoked.stdout == "The consent is taken back.\n"
    assert "Not trusted." in again.stdout


def test_an_unknown_schedule_is_refused_and_nothing_is_granted(sidecar, example_workspace: Path):
    refused = sidecar("trust", "--workspace", example_workspace, "--schedules", "nosuch")
    after = sidecar("trust", "--workspace", example_workspace, "--show")

    assert refused.returncode == 2
    assert "There is no schedule `nosuch`" in refused.stderr
    assert "Not trusted." in after.stdout


def test_text_that_steers_a_terminal_is_shown_instead(sidecar, example_workspace: Path):
    path = example_workspace / ".roo" / "schedules.json"
    text = path.read_text("utf-8").replace("Read TODO.md", "\\u001b[2Khidden\\u202e")
    path.write_text(text, "utf-8")

    shown = sidecar("trust", "--show", "--schedules", "--workspace", example_workspace)

    assert "\x1b" not in shown.stdout
    assert "\u202e" not in shown.stdout
    assert "hidden" in shown.stdout
