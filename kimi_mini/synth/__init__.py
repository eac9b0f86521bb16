"""Text made from text: rephrasing with a check of meaning, learning notes, and one protocol for the models that write.

Reading order: chunks, prompts, words, fidelity (the method); endpoint, programmatic, local (who writes); joblog, rephrase (the
pipeline); notes (mathematics); answers (measuring what was learned).
"""

from .answers import answers, wilson_interval
from .chunks import equal_budget, rewrite_document, sentences, split
from .endpoint import Completion, Endpoint, EndpointError, OpenAIEndpoint
from .fidelity import Problem, check, judge
from .programmatic import Programmatic
from .prompts import Prompt, prompts

__all__ = [
    "Completion",
    "Endpoint",
    "EndpointError",
    "OpenAIEndpoint",
    "Problem",
    "Programmatic",
    "Prompt",
    "answers",
    "check",
    "equal_budget",
    "judge",
    "prompts",
    "rewrite_document",
    "sentences",
    "split",
    "wilson_interval",
]
