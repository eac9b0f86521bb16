"""The instructor's side: `python -m labs.course --help`. Nothing in here reaches a student."""

import os

# Right outcomes of Triton kernels are worked out in its interpreter, on any machine; it reads this at its first import.
os.environ.setdefault("TRITON_INTERPRET", "1")

from .instructor import instructor_lab

__all__ = ["instructor_lab"]
