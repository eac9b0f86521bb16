"""Every task marks its gold 1, its known wrong answer 0, and garbage 0, soon and without raising."""

import json
import time

import pytest

from kimi_mini.chat.template import ARGUMENTS, CALL_BEGIN, CALL_END, END, SECTION_BEGIN, SECTION_END
from kimi_mini.rl import Problem
from kimi_mini.rl.tasks import tasks
from kimi_mini.rl.tasks.constraints import Constraint

TASKS = tasks()
IN_THE_SANDBOX = ("code", "code-lines")  # 60 ms an answer
GARBAGE = {
    "empty": "",
    "blank": " \n\t ",
    "endless": "a" * 1_000_000,
    "endless digits": "9" * 1_000_000,
    "endless brackets": "(" * 1_000_000,
    "endless lines": "Answer: 1\n" * 100_000,
    "NUL": "Answer: 12\0",
    "surrogate": "Answer: \ud800",
    "markers": f"{SECTION_BEGIN}{CALL_BEGIN}functions.a:0{ARGUMENTS}{{}}{CALL_END}{SECTION_END}{END}",
    "open call": f"{SECTION_BEGIN}{CALL_BEGIN}functions.a:0{ARGUMENTS}" + '{"a":' * 500,
    "deep JSON": "[" * 15_000 + "]" * 1,
    "deep object": '{"text":' * 2_000 + '"a"' + "}" * 2_000,
    "deep code": "-" * 15_000 + "1",
    "deep brackets": "def f(x): return " + "(" * 150 + "x" + ")" * 150,
    "nan": "nan",
    "infinity": "Answer: inf",
    "exponent": "Answer: 1e999999999",
    "power": "9**9**9**9 = 1",
    "digits of another script": "Answer: ١٢",
    "right to left": "\u202eAnswer: 1",
    "format string": "%s%n{0.__class__}{",
    "null": "null",
}


def all_problems(task, count):
    return [task.problem(seed) for seed in range(count)]


@pytest.mark.parametrize("name", TASKS)
def test_the_gold_answer_scores_1_and_the_wrong_one_0(name):
    task = TASKS[name]
    for problem in all_problems(task, 12 if name in IN_THE_SANDBOX else 200):
        gold, wrong = task.score(problem, task.gold(problem)), task.score(problem, task.wrong(problem))
        assert gold.reward == 1 and set(gold.parts.values()) == {1.0}, problem
        assert wrong.reward == 0 and min(wrong.parts.values()) < 1, problem


@pytest.mark.slow
def test_200_one_line_functions():
    task = TASKS["code-lines"]
    for problem in all_problems(task, 200)[12:]:
        assert task.score(problem, task.gold(problem)).reward == 1, problem
        assert task.score(problem, task.wrong(problem)).reward == 0, problem


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_is_a_problem_and_json_holds_it(name):
    task = TASKS[name]
    problems = all_problems(task, 50)
    assert problems == all_problems(task, 50)
    assert len({problem.id for problem in problems}) > (11 if name == "code" else 25)
    for problem in problems:
        assert problem.task == task.name == name and problem.budget > 0
        data = json.loads(json.dumps(problem._asdict()))
        again = type(problem)(**data)
        assert task.gold(again) == task.gold(problem)


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("name", TASKS)
def test_garbage_scores_0_and_soon(name, kind):
    task = TASKS[name]
    problem = task.problem(3)
    began = time.perf_counter()
    score = task.score(problem, GARBAGE[kind])
    assert score.reward == 0 and all(0 <= part <= 1 for part in score.parts.values())
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("name", TASKS)
def test_the_question_is_no_answer_to_itself(name):
    task = TASKS[name]
    for problem in all_problems(task, 3 if name in IN_THE_SANDBOX else 100):
        asked = problem.messages[-1]["content"]
        assert task.score(problem, asked).reward == 0
        assert task.score(problem, f"{asked}\n{task.wrong(problem)}").reward == 0


# ---- arithmetic --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("Answer: 19", 1),
        ("10 + 9 = 19\nAnswer: 19.", 1),
        ("\nAnswer: 19\n", 1),
        ("Answer: 019", 1),
        ("Answer: 1", 0),
        ("Answer: 9", 0),
        ("Answer: 190", 0),
        ("Answer: 1 9", 0),
        ("Answer: -19", 0),
        ("19", 0),
        ("Answer: 18\nAnswer: 19", 0),
        ("Answer: 19\nAnswer: 19", 0),
        ("Answer: 18 or Answer: 19", 0),
        ("Answer: 19\nthat is it", 0),
        ("Answer: 19 or 20", 0),
        ("Answer: 19.0", 0),
        ("Answer: 1.9e1", 0),
        ("Answer: 10 + 9", 0),
        ("not Answer: 19", 0),
    ],
)
def test_the_answer_is_one_number_on_the_last_line(text, reward):
    question = {"role": "user", "content": "What is 10 + 9?"}
    problem = Problem("arithmetic", "sum", (question,), {"expression": "10 + 9", "value": 19})
    assert TASKS["arithmetic"].score(problem, text).reward == reward


# ---- instructions ------------------------------------------------------------------------------------------------------


def instruction(**kinds):
    """A problem with these constraints about a lamp."""
    constraints = [Constraint(kind, value) for kind, value in kinds.items()]
    asked = f"Write about a red lamp. {' '.join(one.words for one in constraints)}"
    data = {"about": "lamp", "constraints": constraints, "gold": ""}
    return Problem("instructions", "x", ({"role": "user", "content": asked},), data)


@pytest.mark.parametrize(
    ("kinds", "text", "reward"),
    [
        ({"words": 4}, "The lamp is lit.", 1),
        ({"words": 4}, "The lamp is not lit.", 0),
        ({"words": 2}, "don't lamp", 1),
        ({"most_words": 4}, "A lamp.", 1),
        ({"most_words": 1}, "A lamp.", 0),
        ({"sentences": 2}, "A lamp. It glows!", 1),
        ({"sentences": 2}, "A lamp... It glows", 0),
        ({"sentences": 1}, "A 3.5 m lamp.", 1),
        ({"contains": "old"}, "An OLD lamp.", 1),
        ({"contains": "old"}, "A golden lamp.", 0),
        ({"contains": "old"}, "A cold lamp", 0),
        ({"avoids": "sea"}, "A lamp at sea.", 0),
        ({"avoids": "sea"}, "A lamp in this season.", 1),
        ({"avoids": "sea"}, "no light", 0),
        ({"lower": ""}, "a lamp.", 1),
        ({"lower": ""}, "A lamp.", 0),
        ({"upper": ""}, "A LAMP.", 1),
        ({"upper": ""}, "A Lamp.", 0),
        ({"begins": "Red"}, "Red lamp.", 1),
        ({"begins": "Red"}, "A Red lamp.", 0),
        ({"ends": "glow."}, "Lamps: lamp, glow.", 1),
        ({"ends": "glow."}, "A lamp, glow. Yes.", 0),
        ({"no_commas": ""}, "A lamp, lit.", 0),
        ({"no_digits": ""}, "1 lamp.", 0),
        ({"json": "text"}, '{"text": "A lamp."}', 1),
        ({"json": "text"}, '{"text": "A lamp.", "more": 1}', 0),
        ({"json": "text"}, '{"text": ["lamp"]}', 0),
        ({"json": "text"}, 'Here: {"text": "A lamp."}', 0),
        ({"json": "text"}, '{"text": " "}', 0),
        ({"words": 4, "lower": ""}, "the lamp is lit.", 1),
        ({"words": 4, "lower": ""}, "The lamp is lit.", 0),
    ],
)
def test_each_constraint_is_checked_by_code(kinds, text, reward):
    assert TASKS["instructions"].score(instruction(**kinds), text).reward == reward


@pytest.mark.parametrize(
    "text",
    [
        "A lamp. I have followed all instructions.",
        "As requested, a lamp.",
        "This lamp text meets every requirement.",
        "A lamp in exactly seven words.",
        "The lamp is lit. No commas.",
        "Write about a red lamp.",
        "The answer has one lamp.",
        "A lamp. All the constraints are met.",
        "lamp: write, about - a RED lamp",
    ],
)
def test_a_claim_or_an_echo_is_no_obedience(text):
    score = TASKS["instructions"].score(instruction(contains="lamp"), text)
    assert score.reward == 0 and score.parts["honest"] == 0 and score.parts["contains"] == 1


def test_what_holds_is_told_part_by_part():
    score = TASKS["instructions"].score(instruction(words=3, lower=""), "A lamp glows.")
    assert score.parts == {"words": 1, "lower": 0, "about": 1, "honest": 1}
