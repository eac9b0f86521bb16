"""Worlds whose state is an SQLite database in memory."""

from __future__ import annotations

import sqlite3
from typing import Any, ClassVar

from .world import Refused, World


class SqlWorld(World):
    """`tables` creates the tables and `draw` returns their rows; a refused call is rolled back."""

    tables: ClassVar[str]

    def __init__(self, seed: int) -> None:
        # a server answers in another thread than the one that made it, one call at a time
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(f"PRAGMA foreign_keys = ON; {self.tables}")
        super().__init__(seed)
        for table, rows in self.data.items():
            for row in rows:
                self._run(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row)
        self._names = list(self.data)
        self.data = None  # from here on the database is the state

    def state(self) -> dict[str, Any]:
        """{table: rows as dicts, in the order of their first column}."""
        return {name: self._rows(f"SELECT * FROM {name} ORDER BY 1, 2") for name in self._names}

    def _saved(self) -> None:
        self._db.execute("SAVEPOINT call")

    def call(self, name: str, arguments: dict[str, Any]):
        result = super().call(name, arguments)
        if self._db.in_transaction:
            self._db.execute("RELEASE call")
        return result

    def _restore(self, saved: None) -> None:
        self._db.execute("ROLLBACK TO call")

    def _run(self, sql: str, *values: Any) -> int:
        """Change rows; returns the id of a new one."""
        return self._db.execute(sql, values).lastrowid

    def _rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self._db.execute(sql, values)]

    def _one(self, sql: str, *values: Any, missing: str) -> dict[str, Any]:
        rows = self._rows(sql, *values)
        if not rows:
            raise Refused(missing)
        return rows[0]
