"""Rising: any choice in order is right, and nothing else is."""

import pytest

from kimi_mini.rl import Problem
from kimi_mini.rl.tasks.rising import Rising

PROBLEM = Problem("rising", "rising", (), {"numbers": [86, 7, 69, 49, 12]})


@pytest.mark.parametrize(
    ("text", "reward", "fault"),
    [
        ("7,12,86", 1, None),
        (" 7,12,49,69,86\n", 1, None),
        ("7,12", 0, "enough"),
        ("7,49,12", 0, "rising"),
        ("7,7,12", 0, "rising"),
        ("7,12,13", 0, "given"),
        ("07,12,86", 1, None),
        ("7, 12, 86", 0, "list"),
        ("7,12,86.", 0, "list"),
        ("86,7,69,49,12", 0, "rising"),
        ("", 0, "list"),
        ("7,12,٨٦", 0, "list"),
        ("7,12,86\0", 0, "list"),
        ("\ud800", 0, "list"),
        ("1," * 100_000, 0, "list"),
        ("9" * 1_000_000, 0, "list"),
        ("__import__('os')", 0, "list"),
    ],
)
def test_marks(text, reward, fault):
    score = Rising().score(PROBLEM, text)
    assert score.reward == reward
    assert fault is None or score.parts[fault] == 0


@pytest.mark.parametrize("task", [Rising(), Rising(4, 2, 20), Rising(8, 8, 999), Rising(paid_by_length=True)])
def test_gold_scores_1_and_the_known_wrong_answer_0(task):
    for problem in map(task.problem, range(200)):
        assert task.problem(3) == task.problem(3)
        assert task.score(problem, task.gold(problem)).reward == 1
        assert task.score(problem, task.wrong(problem)).reward == 0


def test_many_answers_are_right_and_length_pays_where_it_is_said_to():
    assert len({Rising().gold(Rising().problem(seed)).count(",") for seed in range(50)}) == 3
    assert [Rising(paid_by_length=True).score(PROBLEM, text).reward for text in ("7,12,86", "7,12,49,86", "7,86,12")] == [
        0.6, 0.8, 0.0,
    ]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [("count", 2), ("count", 13), ("least", 1), ("largest", 5), ("budget", 0)])
def test_bad_settings_are_named(field, value):
    with pytest.raises(ValueError, match=f"{field} = {value}"):
        Rising(**{field: value})
