"""Reinforcement learning with verifiable rewards, after section 3.2 of the K2 report."""

from .types import Problem, Rollout, Score, Task

__all__ = ["Problem", "Rollout", "Score", "Task"]
