"""Reinforcement learning with verifiable rewards, after section 3.2 of the K2 report.

Reading order: types, sampler (answers with their log-probabilities), budget (reward), advantage, loss, pack, step (one
iteration on a screen), curriculum, config, loop.
"""

from .config import RLConfig
from .loop import reinforce
from .loss import grpo_loss, k2_policy_loss
from .step import RLReport, rl_step
from .types import Problem, Rollout, Score, Task

__all__ = ["Problem", "RLConfig", "RLReport", "Rollout", "Score", "Task", "grpo_loss", "k2_policy_loss", "reinforce", "rl_step"]
