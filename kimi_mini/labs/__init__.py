"""What a lab's notebook needs while a student works: checks that say what is wrong, guesses that are kept, a hand-in."""

from .answers import answers_file, read_answers
from .cases import Case, attempt, difference, store, unsolved
from .codec import decode, encode
from .lab import Lab
from .program import Program
from .script import ScriptedRun

__all__ = [
    "Case",
    "Lab",
    "Program",
    "ScriptedRun",
    "answers_file",
    "attempt",
    "decode",
    "difference",
    "encode",
    "read_answers",
    "store",
    "unsolved",
]
