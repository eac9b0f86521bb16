"""Right answers are whole words, and a share of them has an interval."""

import pytest

from kimi_mini.synth import answers, wilson_interval


@pytest.mark.parametrize(
    ("text", "wanted", "right"),
    [
        ("It was founded in 1910.", "1", False),
        ("The answer is 1.", "1", True),
        ("The answer is 1.5", "1", False),
        ("The answer is 0.1", "1", False),
        ("There are 1,000.", "1", False),
        ("It is 1/2.", "1", False),
        ("It is 1/2.", "2", False),
        ("1, of course", "1", True),
        ("On the Corla.", "corla", True),
        ("On the Corlabury.", "Corla", False),
        ("Boris  Corgate is", "Boris Corgate.", True),
        ("Boris and Corgate", "Boris Corgate", False),
        ("x-1", "1", False),
    ],
)
def test_an_answer_is_whole_words(text, wanted, right):
    assert answers(text, wanted) is right


def test_the_interval_is_wilson_s():
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson_interval(10, 10)[1] == 1


def test_bad_input_is_said():
    with pytest.raises(ValueError, match="total = 0"):
        wilson_interval(0, 0)
    with pytest.raises(ValueError, match="right = 3"):
        wilson_interval(3, 2)
    with pytest.raises(ValueError, match="wanted"):
        answers("text", " ")
