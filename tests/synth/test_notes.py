"""Learning notes of mathematics: every line is recomputed, whoever wrote it."""

import pytest

from kimi_mini.corpus import maths
from kimi_mini.corpus.draw import Draw
from kimi_mini.synth import Completion, learning_note
from kimi_mini.synth.notes import WRITER, holds, statements, verify

SOURCE = "Question: What is 12 * 34?\n12 * 4 = 48\n12 * 30 = 360\n48 + 360 = 408\nAnswer: 408\n"


def test_rules_write_true_notes_of_the_corpus():
    for number in range(300):
        note = learning_note(maths.document(Draw("notes", number)))
        assert note.problems == () and note.writer == WRITER, note


def test_a_note_teaches_more_than_its_source():
    note = learning_note(SOURCE).text
    assert "The idea. Multiply" in note and "408 - 360 = 48" in note and "1) 12 * 4 = 48" in note


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (("12 * 4 = 48", "12 * 4 = 46"), {"arithmetic", "missing"}),
        (("48 + 360 = 408", "the sum is 408"), {"missing"}),
        (("408 - 360 = 48", "408 - 360 = 58"), {"arithmetic"}),
        (("408", "418"), {"arithmetic", "missing", "answer"}),
    ],
)
def test_a_wrong_line_is_found(change, kinds):
    assert {problem.kind for problem in verify(SOURCE, learning_note(SOURCE).text.replace(*change))} == kinds


@pytest.mark.parametrize(
    "true", ["3 * (4 + 5) = 27", "48 = 2 * 18 + 12", "5 * x = 30 - 5 = 25", "x = 25 / 5 = 5", "7 < 9", "1 / 3 + 2 / 3 = 1"]
)
def test_what_holds(true):
    assert statements(f"So {true}.") == [true] and holds(true)


@pytest.mark.parametrize("false", ["3 * 4 = 13", "9 < 7", "x = 25 / 5 = 6", "1 / 0 = 1", "2 +* 2 = 4", "2 = 2 = 3"])
def test_what_does_not_hold(false):
    assert not holds(false)


def test_what_models_write_is_read():
    assert statements("1. 1,200 × 3 = 3,600\n2) 8 − 3 = ?\n- 7 ÷ 2 = 3.5, so what.") == ["1200 * 3 = 3600", "7 / 2 = 3.5"]
    assert verify("Question: What is 600 * 2?\n600 * 2 = 1200\nAnswer: 1200\n", "600 × 2 = 1,200") == ()


def test_a_power_tower_is_no_arithmetic():
    assert not holds("9 ** 9 ** 9 = 1")


class Careless:
    name = "careless"

    def complete(self, messages, **_):
        assert "12 * 34" in messages[-1]["content"]
        return Completion("Multiply by 4, 12 * 4 = 48, and by 30, 12 * 30 = 350. Then 48 + 360 = 408.", self.name)


def test_a_model_s_note_is_verified_too():
    note = learning_note(SOURCE, Careless())
    assert note.writer == "careless" and {problem.kind for problem in note.problems} == {"arithmetic", "missing"}
