"""The instructor's side: `python -m labs.course --help`. Nothing in here reaches a student."""

from .instructor import instructor_lab

__all__ = ["instructor_lab"]
