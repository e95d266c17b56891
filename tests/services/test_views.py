"""Each call sees the workspace as its own client, under the settings that are in force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.services.context import Client, Context, unheard
from sidecar.services.views import Views
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace


@pytest.fixture
def views(tmp_path: Path) -> Views:
    """Views of a new workspace."""
    return Views(Context(Workspace.open(tmp_path), Settings()))


def other(settings: Settings) -> Settings:
    """The same settings with another limit."""
    return settings.model_copy(update={"max_read_bytes": settings.max_read_bytes + 1})


def test_each_client_has_a_view_of_its_own(views: Views):
    one, two = Client("one", "1"), Client("two", "2")
    assert [views(each, unheard).client for each in (one, two, one)] == [one, two, one]
    assert views(one, unheard).workspace is views(two, unheard).workspace


def test_other_settings_are_in_force_for_every_client_from_then_on(views: Views):
    one, two = Client("one"), Client("two")
    before = views(one, unheard)
    changed = other(before.settings)
    assert views(two, unheard).settings == before.settings
    assert before.reload is not None
    before.reload(changed)
    assert before.settings != changed
    assert views(one, unheard).settings == views(two, unheard).settings == changed
    assert views.context.settings == changed


def test_another_workspace_view_reaches_calls_that_were_served_before(views: Views):
    client = Client("one")
    assert not views(client, unheard).code_allowed
    views.context = replace(views.context, code_allowed=True)
    assert views(client, unheard).code_allowed


def test_progress_is_heard_by_the_call_that_asked_alone(views: Views):
    client, heard = Client("one"), []

    def progress(done: float, total: float | None, message: str) -> None:
        heard.append((done, total, message))

    views(client, progress).progress(1, 2, "half")
    views(client, unheard).progress(2, 2, "whole")
    assert heard == [(1, 2, "half")]


def test_any_number_of_clients_is_served(views: Views):
    clients = [Client(str(number)) for number in range(200)]
    assert [views(each, unheard).client for each in clients] == clients
    assert len(views._made) <= 64
