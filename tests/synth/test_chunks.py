"""Chunks lose nothing, keep to their size, and each is rewritten with the previous output in sight."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_mini.corpus import load_tokenizer
from kimi_mini.synth import equal_budget, rewrite_document, sentences, split

TEXTS = st.text(alphabet=st.sampled_from("ab .!?\n\"'é1A,)\u2003\u0085"), max_size=200) | st.text(max_size=60)


@given(TEXTS, st.integers(1, 12))
@settings(deadline=None)
def test_no_text_is_lost(text, size):
    assert "".join(sentences(text)) == text
    chunks = split(text, size)
    assert "".join(chunks) == text and all(chunks)
    assert all(len(chunk.split()) <= size for chunk in chunks)


@given(TEXTS, st.integers(1, 12))
@settings(deadline=None)
def test_rewriting_by_the_identity_is_the_identity(text, size):
    assert rewrite_document(text, lambda chunk, previous: chunk, size) == text


def test_sentences_end_where_they_end():
    text = 'Mr. Kelstad came. "Why?" he asked. It cost 1.5 crowns.\nA new line! J. Brandt knew'
    assert [s.strip() for s in sentences(text)] == [
        "Mr. Kelstad came.", '"Why?"', "he asked.", "It cost 1.5 crowns.", "A new line!", "J. Brandt knew",
    ]  # fmt: skip


def test_chunks_end_with_sentences_and_are_as_full_as_they_can_be():
    text = "One two three. Four five. Six seven eight nine. Ten."
    assert split(text, 5) == ["One two three. Four five. ", "Six seven eight nine. Ten."]


def test_a_long_sentence_is_cut_between_words_and_a_long_word_is_not():
    assert split("one two three four five.", 2) == ["one two ", "three four ", "five."]
    assert split("abcdefgh i", 3, len) == ["abcdefgh ", "i"]


def test_the_size_is_counted_in_tokens_where_a_tokenizer_is_given():
    encode = load_tokenizer().encode
    text = "Belmabury lies on the river Corla. It was founded in 1342. " * 20
    chunks = split(text, 64, lambda part: len(encode(part)))
    assert "".join(chunks) == text and len(chunks) > 3
    assert all(32 < len(encode(chunk)) <= 64 for chunk in chunks[:-1])


def test_context_is_the_previous_output_and_order_is_kept():
    seen = []

    def rewrite(chunk, previous):
        seen.append((chunk, previous))
        return f" <{len(seen)}> "

    assert rewrite_document("A b.\n\nC d.  E f. ", rewrite, 2) == "<1>\n\n<2>  <3> "
    assert seen == [("A b.", ""), ("C d.", "<1>"), ("E f.", "<2>")]


def test_budgets_are_equal_to_within_a_document():
    one, ten = ["a b c d"], [f"text {i} of ten" for i in range(10)]
    assert equal_budget(one, 40) == one * 10 and equal_budget(ten, 40) == ten
    assert equal_budget(["a b c", "d e"], 9) == ["a b c", "d e", "a b c"]


@pytest.mark.parametrize("documents", [[], ["a", ""]])
def test_a_budget_needs_documents(documents):
    with pytest.raises(ValueError, match="documents"):
        equal_budget(documents, 5)


def test_a_chunk_needs_a_size():
    with pytest.raises(ValueError, match="size = 0"):
        split("text", 0)
