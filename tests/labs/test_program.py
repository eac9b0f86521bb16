"""Programs as arguments of a case, and verdicts of which enough have to be right."""

import pytest

from kimi_mini.labs import Case, Program, attempt, decode, difference, encode, store

DOUBLE = "import math\n\n\ndef double(x):\n    return helper(x)\n\n\ndef helper(x):\n    return 2 * math.floor(x)\n"


def test_a_program_is_called_like_its_first_function():
    assert decode(encode(Program(DOUBLE)))(3.5) == 6
    assert attempt(lambda program: program(4), store(Case("one", (Program(DOUBLE),))))["result"] == 8


def test_nothing_of_a_program_runs_where_it_is_only_decoded_and_compared(tmp_path):
    hostile = Program(f"open({str(tmp_path / 'ran')!r}, 'w')\n\n\ndef f():\n    return True\n")
    case = store(Case("no argument", ()))
    for right in (True, 1, [True], {"a": True}, "text", hostile):
        difference(attempt(lambda right=right: right, case), attempt(lambda: hostile, case))
    assert not (tmp_path / "ran").exists()
    assert hostile() is True and (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [1, None, ["x"], {"a": 1}])
def test_a_stored_program_is_text(content):
    with pytest.raises(ValueError, match="program"):
        decode({"program": content})


def test_a_program_without_a_function_says_so():
    with pytest.raises(ValueError, match="defines no function"):
        Program("x = 1")()


def _said(answers, enough=2):
    case = store(Case("five", ([0], [1], [2], [3], [4]), enough=enough))
    return difference(attempt(lambda x: x < 2, case), attempt(lambda x: answers[x], case))


def test_enough_of_the_wrong_ones_are_enough_and_every_right_one_counts():
    assert _said([True, True, False, False, False]) is None
    assert _said([True, True, False, True, False]) is None
    assert _said([True, True, False, True, True]) == (
        "0 of 2 right versions are refused, and 1 of 3 wrong ones caught; 2 are enough"
    )
    assert "1 of 2 right versions are refused" in _said([True, False, False, False, False])


@pytest.mark.parametrize("odd", [None, 1, "no"])
def test_a_verdict_is_true_or_false(odd):
    assert "5 times True or False" in _said([True, True, False, odd, False])


def test_other_cases_are_stored_as_they_were():
    assert "enough" not in store(Case("plain", (1,)))
