"""Text made from text: rephrasing with a check of meaning, learning notes, and one protocol for whatever writes.

Reading order: chunks, prompts, words, fidelity (the method); endpoint, programmatic, local (who writes); joblog, rephrase (the
pipeline); notes (mathematics); answers (measuring what was learned).
"""

from .answers import answers, wilson_interval
from .chunks import equal_budget, rewrite_document, sentences, split
from .endpoint import Completion, Endpoint, EndpointError, OpenAIEndpoint
from .fidelity import Problem, check, judge
from .joblog import JobLog
from .notes import Note, learning_note
from .programmatic import Programmatic
from .prompts import Prompt, prompts
from .rephrase import Settings, Summary, rephrase

__all__ = [
    "Completion",
    "Endpoint",
    "EndpointError",
    "JobLog",
    "Note",
    "OpenAIEndpoint",
    "Problem",
    "Programmatic",
    "Prompt",
    "Settings",
    "Summary",
    "answers",
    "check",
    "equal_budget",
    "judge",
    "learning_note",
    "prompts",
    "rephrase",
    "rewrite_document",
    "sentences",
    "split",
    "wilson_interval",
]
