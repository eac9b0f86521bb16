"""THE one place where code written by a model or a student runs: `run(code)` on Linux, in namespaces of its own."""

from .sandbox import Limits, Outcome, SandboxUnavailable, run

__all__ = ["Limits", "Outcome", "SandboxUnavailable", "run"]
