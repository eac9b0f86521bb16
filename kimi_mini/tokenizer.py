"""Tokenizer: byte-level BPE with single digits, and the tokens that K2 reserves for chat and tool calls.

Text falls into pieces (words with the space before them, runs of signs, runs of white space, single digits), pieces into
bytes, and BPE joins bytes within a piece. Every text has an encoding and comes back exactly. Reserved tokens take the
last ids, as in K2; text can never produce one by accident, because a piece never holds letters and signs together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from .checks import is_int, require

# The spelling of K2's chat template and tool-call format.
SPECIAL_TOKENS = (
    "[BOS]",
    "[EOS]",
    "[PAD]",
    "<|im_system|>",
    "<|im_user|>",
    "<|im_assistant|>",
    "<|im_middle|>",
    "<|im_end|>",
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
)
_FILE = "tokenizer.json"
_SMALLEST = 256 + len(SPECIAL_TOKENS)


class Tokenizer:
    """Text to token ids and back, over a `tokenizers.Tokenizer` (any tokenizer.json of Hugging Face will do).

    `bos`, `eos` and `pad` are the ids of [BOS], [EOS] and [PAD]; None where a foreign tokenizer.json lacks them.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._with_special = backend
        self._text_only = tokenizers.Tokenizer.from_str(backend.to_str())
        self._text_only.encode_special_tokens = True  # that is: as the plain text they look like
        self.bos, self.eos, self.pad = (backend.token_to_id(name) for name in SPECIAL_TOKENS[:3])

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> Tokenizer:
        """Learn merges from `texts` until there are `vocab_size` entries, reserved ones included; the same texts give the same.

        A short text runs out of pairs to merge first and gives fewer. Raises ValueError for a `vocab_size` that cannot
        hold the 256 bytes and the reserved tokens.
        """
        enough = is_int(vocab_size, _SMALLEST)
        wanted = f"an integer >= {_SMALLEST}: 256 bytes and {len(SPECIAL_TOKENS)} reserved tokens"
        require(enough, "vocab_size", vocab_size, wanted)
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size - len(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        backend.add_special_tokens(list(SPECIAL_TOKENS))
        return cls(backend)

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read a tokenizer.json, or the one in a folder. Raises ValueError when there is none or it is not one."""
        path = _file_in(path)
        try:
            return cls.from_json(path.read_bytes(), name=str(path))
        except FileNotFoundError:
            raise ValueError(f"no tokenizer at {path}; expected a {_FILE}, as Tokenizer.save writes it") from None

    @classmethod
    def from_json(cls, content: bytes, name: str = "the content") -> Tokenizer:
        """A tokenizer of the bytes of a tokenizer.json; `name` is for the ValueError when they are not one."""
        try:
            return cls(tokenizers.Tokenizer.from_str(content.decode("utf-8")))
        except Exception as error:  # the library raises plain Exception for whatever it cannot parse
            raise ValueError(f"{name} is not a tokenizer ({error}); expected a {_FILE} of the tokenizers library") from None

    def save(self, path: str | Path) -> Path:
        """Write tokenizer.json (to `path`, or into it if it is a folder); the file appears whole or not at all."""
        path = _file_in(path)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            partial.write_text(self._with_special.to_str(pretty=True), encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    @property
    def vocab_size(self) -> int:
        """Number of ids, reserved ones included."""
        return self._with_special.get_vocab_size()

    def id(self, token: str) -> int:
        """The id of one entry, such as "<|im_end|>". Raises ValueError for a token that is not in the vocabulary."""
        found = self._with_special.token_to_id(token)
        if found is None:
            raise ValueError(f"no token {token!r} in the vocabulary; K2's reserved ones are {' '.join(SPECIAL_TOKENS)}")
        return found

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of `text`; nothing is put before or after it.

        Reserved tokens spelled out in `text` stay ordinary characters, so that no user can write a control token, unless
        `special` says that the text comes from a template. Raises ValueError for what UTF-8 cannot hold.
        """
        if not isinstance(text, str):
            raise ValueError(f"text is a {type(text).__name__}; expected a str")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"text has no UTF-8 form at character {error.start}: {text[error.start]!r} is half a pair"
            ) from None
        backend = self._with_special if special else self._text_only
        return backend.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int], *, skip_special: bool = False) -> str:
        """The text of `ids`; bytes that are no character, as in a cut-off answer, become U+FFFD.

        Reserved tokens are spelled out unless `skip_special`. Raises ValueError for an id that is out of range.
        """
        size = self.vocab_size
        for token in ids:
            if not 0 <= token < size:
                raise ValueError(f"token id {token} is out of range; the vocabulary has ids 0 to {size - 1}")
        return self._with_special.decode(ids, skip_special_tokens=skip_special)


def _file_in(path: str | Path) -> Path:
    path = Path(path)
    return path / _FILE if path.is_dir() else path
