"""What a lab's notebook needs while a student works: checks that say what is wrong, guesses that are kept, a hand-in."""

from .cases import Case, attempt, difference, store, unsolved
from .codec import decode, encode
from .script import ScriptedRun

__all__ = ["Case", "ScriptedRun", "attempt", "decode", "difference", "encode", "store", "unsolved"]
