"""Agents that act: rubric tasks, simulated users, runs in worlds with failures, and a judge that asks the database.

Reading order: task, shop_tasks, airline_tasks, desk_tasks, tasks (what is asked); agents, users, players, programmatic (who
takes part); runner (one run), judge (its verdict); records, filters, pipeline (many runs, kept as JSON lines).
"""

from .agents import AgentSpec, draw_agent
from .judge import Item, judge, passed
from .pipeline import Settings, Summary, collect
from .players import EndpointPlayer, ModelPlayer, Player, Turn
from .programmatic import HABITS, ProgrammaticPlayer
from .runner import Limits, Trajectory, play, valid
from .task import AgentTask, Rubric, difference
from .tasks import KINDS, draw_task
from .users import PERSONAS, EndpointUser, Persona, ProgrammaticUser, User

__all__ = [
    "HABITS",
    "KINDS",
    "PERSONAS",
    "AgentSpec",
    "AgentTask",
    "EndpointPlayer",
    "EndpointUser",
    "Item",
    "Limits",
    "ModelPlayer",
    "Persona",
    "Player",
    "ProgrammaticPlayer",
    "ProgrammaticUser",
    "Rubric",
    "Settings",
    "Summary",
    "Trajectory",
    "Turn",
    "User",
    "collect",
    "difference",
    "draw_agent",
    "draw_task",
    "judge",
    "passed",
    "play",
    "valid",
]
