"""THE text of the book and its tokenizer: plays, code, maths, facts and chat, as tokens that ship with the package.

Reading order: draw, maths, facts, chat (what is generated), sources (what is read), pack, files, mixture.
"""

from .files import DOMAINS, SPLITS, Corpus, load, load_tokenizer
from .mixture import WEIGHTS, mix
from .pack import pack

__all__ = ["DOMAINS", "SPLITS", "WEIGHTS", "Corpus", "load", "load_tokenizer", "mix", "pack"]
