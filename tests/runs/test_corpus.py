"""The command that builds the text, on a small scale: it writes what it says, and the same again."""

import tarfile

import numpy as np
import pytest

from kimi_mini.corpus import DOMAINS, load, sources
from kimi_mini.corpus.generated import Documents, generate
from runs.corpus import build, learn_tokenizer


@pytest.fixture(scope="session")
def documents():
    """A few documents of every domain; plays and code are stand-ins."""
    prose = Documents([f"ANNA.\nLine {i}, and exit.\n" for i in range(9)], ["BERT.\nA word.\n"])
    code = Documents([f"def f{i}(x):\n    return x + {i}\n" for i in range(9)], ["def g(): ...\n"])
    return {"plays": prose, "code": code} | {name: generate(name, 60) for name in ("maths", "facts", "chat")}


def test_what_is_built_is_what_is_loaded(tmp_path, documents):
    provenance = build(documents, {"here": "a test"}, tmp_path / "new" / "data", 400)
    text = load(tmp_path / "new" / "data")
    assert text.provenance == provenance and tuple(text.tokens) == DOMAINS
    for domain, (train, held_out) in documents.items():
        assert text.texts(domain, "train") == train
        assert text.texts(domain, "held_out") == held_out
    assert {path.name for path in (tmp_path / "new" / "data").iterdir()} == {*provenance["files"], "provenance.json"}


def test_building_again_gives_the_same(tmp_path, documents):
    first, second = (build(documents, {}, tmp_path / name, 400) for name in "ab")
    assert first == second


def test_the_tokenizer_learns_from_training_text_alone_and_not_from_markers(documents):
    tokenizer = learn_tokenizer(documents, 400)
    other = {name: Documents(docs.train, ["zzzz " * 500]) for name, docs in documents.items()}
    text = "zzzz and tool_calls_section_begin"
    assert tokenizer.encode(text) == learn_tokenizer(other, 400).encode(text)
    assert tokenizer.encode("a<|im_end|>", special=True)[-1] == tokenizer.id("<|im_end|>")


def test_code_is_the_pinned_package_without_its_tests():
    code, origin = sources.code()
    assert len(code.train) + len(code.held_out) == len(origin["files"]) > 200
    assert not any("/tests/" in name for name in origin["files"])
    shipped = load()
    assert shipped.texts("code", "held_out") == code.held_out and shipped.provenance["sources"]["code"] == origin
    assert np.array_equal([len(text) for text in shipped.texts("code", "train")], [len(text) for text in code.train])


def test_another_version_or_archive_is_refused(monkeypatch, tmp_path):
    monkeypatch.setitem(sources.CODE, "package", "networkx==0.1")
    with pytest.raises(ValueError, match="networkx==0.1 is not installed"):
        sources.code()
    with tarfile.open(tmp_path / "plays.tar.gz", "w:gz"):
        pass
    with pytest.raises(ValueError, match="plays.tar.gz has SHA-256 .*; expected f393d0"):
        sources.plays(tmp_path / "plays.tar.gz")
