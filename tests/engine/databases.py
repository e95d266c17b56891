"""The engine's databases as tests name them."""

from __future__ import annotations

from pathlib import Path

from sidecar.engine.database import Database
from sidecar.engine.postgres_database import PostgresDatabase
from sidecar.engine.sqlite_database import SqliteDatabase


def open_database(state: Path, url: str) -> Database:
    """The PostgreSQL database of a URL, else a SQLite file in a folder."""
    return PostgresDatabase(url) if url else SqliteDatabase(state / "engine.sqlite")
