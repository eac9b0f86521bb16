"""How an answer is compared with the right one."""

import pytest
import torch

from kimi_mini.labs import Case, attempt, difference, store

IN_PLACE = store(Case("a dict of two", ({"kept": torch.ones(2), "doubled": torch.ones(2)},), in_place=True))


def _double_(weights):
    weights["doubled"] *= 2


def _replace(weights):
    weights["doubled"] = weights["doubled"] * 2


def _double_all_(weights):
    for tensor in weights.values():
        tensor *= 2


def test_the_same_change_in_place_is_right():
    def add_itself(weights):
        weights["doubled"] += weights["doubled"].clone()

    assert difference(attempt(_double_, IN_PLACE), attempt(add_itself, IN_PLACE)) is None


@pytest.mark.parametrize("wrong", [_replace, _double_all_, lambda weights: None])
def test_other_changes_are_not_that_change(wrong):
    assert "an argument after the call[0]" in difference(attempt(_double_, IN_PLACE), attempt(wrong, IN_PLACE))


def test_a_list_of_another_length_names_the_first_that_is_off():
    def said(right, answer):
        case = store(Case("no argument", ()))
        return difference(attempt(lambda: right, case), attempt(lambda: answer, case))

    assert said(["a", "b"], ["x", "a", "b"]) == (
        "the result should hold 2 values; it holds 3, and the result[0] should be 'a'; it is 'x'"
    )
    assert said(["a", "b"], ["a"]) == "the result should hold 2 values; it holds 1"
    assert said(["a", "b"], ["a", "b"]) is None
