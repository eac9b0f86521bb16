"""Tokenizer: exact round trips, single digits, reserved tokens that text cannot forge, and errors that say what is wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kimi_mini as km
from kimi_mini.tokenizer import SPECIAL_TOKENS

TEXTS = ["def add(a, b):\n    return a + b\n", "12 + 30 = 42. The answer is 42.", "<|im_user|>hello<|im_end|> [BOS] hello"] * 20
FULL = 256 + len(SPECIAL_TOKENS)
TRAINED = km.Tokenizer.train(TEXTS, FULL + 30)

pieces = st.one_of(st.text(), st.sampled_from(SPECIAL_TOKENS), st.text("0123456789 \n\t\r\x00é½٣漢🤖\u0301\ufeff<|>[]_"))
any_text = st.lists(pieces).map("".join)


@given(any_text)
@settings(max_examples=300, deadline=None)
def test_decode_inverts_encode_for_any_text(text):
    assert TRAINED.decode(TRAINED.encode(text)) == text
    assert TRAINED.decode(TRAINED.encode(text, special=True)) == text


@given(any_text)
@settings(max_examples=200, deadline=None)
def test_text_alone_never_becomes_a_reserved_token(text):
    reserved = {TRAINED.id(token) for token in SPECIAL_TOKENS}
    assert not reserved & set(TRAINED.encode(text))


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_reserved_tokens_are_one_id_when_asked_for(token):
    ids = TRAINED.encode(f"a{token}b", special=True)
    assert ids == [*TRAINED.encode("a"), TRAINED.id(token), *TRAINED.encode("b")]
    assert TRAINED.decode(ids, skip_special=True) == "ab"


def test_reserved_tokens_take_the_last_ids():
    assert [TRAINED.id(t) for t in SPECIAL_TOKENS] == list(range(TRAINED.vocab_size - len(SPECIAL_TOKENS), TRAINED.vocab_size))
    assert [TRAINED.bos, TRAINED.eos, TRAINED.pad] == [TRAINED.id(t) for t in ("[BOS]", "[EOS]", "[PAD]")]


def test_digits_stay_single_though_the_text_repeats_them():
    assert len(TRAINED.encode("424242")) == 6
    assert TRAINED.encode(" 42") == TRAINED.encode(" ") + TRAINED.encode("4") + TRAINED.encode("2")


def test_merges_are_learned_and_count():
    assert TRAINED.vocab_size == FULL + 30
    assert len(TRAINED.encode("hello")) < len(km.Tokenizer.train(TEXTS, FULL).encode("hello")) == 5


def test_training_is_deterministic_and_a_short_text_gives_fewer_entries():
    one, two = (km.Tokenizer.train(["abc abd " * 3], FULL + 500) for _ in range(2))
    assert FULL < one.vocab_size == two.vocab_size < FULL + 500
    assert [one.encode(t) for t in TEXTS] == [two.encode(t) for t in TEXTS]


def test_save_and_load(tmp_path):
    into_folder, to_file = TRAINED.save(tmp_path), TRAINED.save(tmp_path / "other.json")
    assert into_folder == tmp_path / "tokenizer.json"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.json", "tokenizer.json"]
    for path in (tmp_path, into_folder, to_file):
        loaded = km.Tokenizer.load(path)
        assert (loaded.vocab_size, loaded.eos) == (TRAINED.vocab_size, TRAINED.eos)
        text = TEXTS[2]
        assert loaded.encode(text) == TRAINED.encode(text)
        assert loaded.encode(text, special=True) == TRAINED.encode(text, special=True) != loaded.encode(text)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = TRAINED.save(tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        km.Tokenizer.train(TEXTS, FULL).save(tmp_path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[1]", b"\xff\xfe", b'{"model": {"type": "BPE"}}'])
def test_a_corrupt_file_is_named(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="tokenizer.json is not a tokenizer .*expected a tokenizer.json"):
        km.Tokenizer.load(tmp_path)


def test_a_truncated_file_is_named(tmp_path):
    path = TRAINED.save(tmp_path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match="is not a tokenizer"):
        km.Tokenizer.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="no tokenizer at .*tokenizer.json"):
        km.Tokenizer.load(tmp_path)


def test_a_foreign_tokenizer_without_the_reserved_tokens(tmp_path):
    import tokenizers

    foreign = tokenizers.Tokenizer(tokenizers.models.BPE())
    foreign.add_special_tokens(["<s>"])
    path = tmp_path / "tokenizer.json"
    foreign.save(str(path))
    loaded = km.Tokenizer.load(path)
    assert (loaded.bos, loaded.eos, loaded.pad, loaded.id("<s>")) == (None, None, None, 0)


@pytest.mark.parametrize("token", [-1, TRAINED.vocab_size, 2**40])
def test_an_id_out_of_range_is_refused(token):
    with pytest.raises(ValueError, match=f"token id {token} is out of range.* 0 to {TRAINED.vocab_size - 1}"):
        TRAINED.decode([0, token])


@pytest.mark.parametrize("vocab_size", [0, FULL - 1, 512.0, None])
def test_a_vocabulary_that_is_too_small_is_refused(vocab_size):
    with pytest.raises(ValueError, match=f"vocab_size = {vocab_size!r} .*>= {FULL}"):
        km.Tokenizer.train(TEXTS, vocab_size)


@pytest.mark.parametrize("text", ["ok\ud800", b"bytes", None])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(ValueError, match="text (is a|has no UTF-8)"):
        TRAINED.encode(text)


def test_an_unknown_token_name_is_refused():
    with pytest.raises(ValueError, match="no token '<s>'.*<|im_end|>"):
        TRAINED.id("<s>")


def test_bytes_cut_off_inside_a_character_decode():
    assert TRAINED.decode(TRAINED.encode("a🤖")[:-1]) == "a\ufffd"
