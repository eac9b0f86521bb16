"""A course's key: it draws every student's twists and the hidden cases, and never leaves the instructor's machine."""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from kimi_mini.checks import require

from .exercise import LabSpec, Variant


@dataclass(frozen=True)
class Key:
    """A course's name and its secret."""

    course: str
    secret: bytes = field(repr=False)

    def twists(self, student: str, spec: LabSpec) -> dict[str, Variant]:
        """The twist that each coding exercise of a lab has for a student."""
        draws = {each.name: self._number("twist", student, spec.name, each.name) for each in spec.coding}
        return {each.name: each.twists[draws[each.name] % len(each.twists)] for each in spec.coding}

    def seed(self, lab: str, exercise: str) -> int:
        """Seed of an exercise's hidden cases."""
        return self._number("cases", lab, exercise)

    @property
    def mark(self) -> str:
        """A few characters that tell this key from others and say nothing about it."""
        return f"{self._number('mark'):012x}"

    def _number(self, *parts: str) -> int:
        message = json.dumps([self.course, *parts]).encode()
        return int.from_bytes(hmac.new(self.secret, message, hashlib.sha256).digest()[:6], "big")


def make_key(course: str, path: Path) -> None:
    """Write a new key that only its owner may read. Raises FileExistsError rather than lose one."""
    content = json.dumps({"course": course, "secret": secrets.token_hex(32)}) + "\n"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)


def read_key(path: Path) -> Key:
    """What `make_key` wrote. Raises ValueError for another file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        key = Key(content["course"], bytes.fromhex(content["secret"]))
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path} is no key file; expected one that `python -m labs.course key` wrote") from None
    require(len(key.secret) >= 16, f"bytes of the secret in {path}", len(key.secret), "at least 16")
    return key


def read_roster(path: Path) -> dict[str, str]:
    """Names by student id, out of a CSV with the columns student and name. Raises ValueError for ids that name no folder."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    require(bool(rows) and {"student", "name"} <= set(rows[0]), str(path), "other content", "the columns student and name")
    students = [row["student"] for row in rows]
    for student in students:
        require(bool(re.fullmatch(r"\w[\w.@+-]*", student or "")), "student", student, "an id that can name a folder")
        require(students.count(student) == 1, "student", student, "each id once")
    return {row["student"]: row["name"] or "" for row in rows}
