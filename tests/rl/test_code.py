"""Answers that are code: run in the sandbox, judged outside of it; no trick inside gets a reward."""

import pytest

from kimi_mini.rl import Problem
from kimi_mini.rl.tasks.code import Code, same, source_of

TASK = Code(seconds=1.0)
PROBLEM = Problem(
    "code-lines", "double", ({"role": "user", "content": "Double x."},),
    {"function": "f", "calls": [[1], [5], [-3], [0]], "results": [2, 10, -6, 0], "gold": "", "wrong": ""},
)  # fmt: skip

TRICKS = {
    "exits with status 0": "import os\nos._exit(0)\ndef f(x): return 2 * x",
    "exits within a call": "import os\ndef f(x):\n    if x > 1: os._exit(0)\n    return 2 * x",
    "sys.exit": "import sys\ndef f(x): sys.exit(0)",
    "prints verdicts": 'def f(x):\n    print("ok", "passed", \'{"value": 2}\')\n    return 1',
    "forges lines": "import os\nfor _ in range(4): os.write(1, b'{\"value\": true}\\n')\nos._exit(0)\ndef f(x): return 1",
    "finds the results' file": (
        "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'{\"passed\": true}\\n')\n    except OSError: pass\n"
        "def f(x): return 1"
    ),
    "reads the calls": 'import json\nTESTS = json.load(open("calls.json"))\ndef f(x): return TESTS[1][0][0]',
    "looks for the tests": 'import glob\ndef f(x): return sorted(glob.glob("/**/*test*", recursive=True))[:3]',
    "patches json": 'import json\njson.dumps = lambda value: \'{"value": "passed"}\'\ndef f(x): return 1',
    "patches len and zip": "import builtins\nbuiltins.len = builtins.zip = lambda *a: []\ndef f(x): return 1",
    "equal to everything": "class Yes(int):\n    def __eq__(self, other): return True\ndef f(x): return Yes(1)",
    "changes the caller": "import sys\ndef f(x):\n    sys._getframe(1).f_locals.clear()\n    return 1",
    "loops for ever": "def f(x):\n    while True: pass",
    "loops on import": "while True: pass\ndef f(x): return 2 * x",
    "ends in the last call": "def f(x):\n    while x == 0: pass\n    return 2 * x",
    "true for one": "def f(x): return {2: True, 10: 10.0}.get(2 * x, 2 * x)",
    "results too many": "import os\ndef f(x):\n    if x == 0: os.write(1, b'{\"value\": 1}\\n')\n    return 2 * x + (x == 5)",
    "raises": "def f(x): raise KeyError(2 * x)",
    "fork bomb": "import os\nwhile True: os.fork()\ndef f(x): return 2 * x",
    "memory": "a = ['x' * 10**7 for _ in range(10**4)]\ndef f(x): return 2 * x",
    "another name": "def g(x): return 2 * x",
    "no function": "f = 1",
    "not JSON": "def f(x): return {1, 2}",
    "endless result": "def f(x): return 'a' * 10**7",
    "deep result": "def f(x):\n    a = []\n    for _ in range(10**5): a = [a]\n    return a",
}


@pytest.mark.parametrize("name", TRICKS)
def test_no_trick_is_rewarded(name):
    assert TASK.score(PROBLEM, TRICKS[name]).reward == 0


@pytest.mark.parametrize(
    "text",
    [
        "def f(x): return 2 * x",
        "Here it is:\n```python\ndef f(x):\n    return x + x\n```\nIt doubles.",
        "```\ndef f(x):\n    print('noise')\n    return x << 1\n```",
        "import math\ndef helper(x): return x\ndef f(x): return helper(x) * 2",
    ],
)
def test_what_is_right_is_right_however_it_is_written(text):
    assert TASK.score(PROBLEM, text).reward == 1


def test_partial_credit_is_told_and_not_paid():
    score = TASK.score(PROBLEM, "def f(x): return 2 * abs(x)")
    assert score.reward == 0 and score.parts == {"code": 1, "results": 0.75, "ended": 1}
    score = TASK.score(PROBLEM, TRICKS["ends in the last call"])
    assert score.parts == {"code": 1, "results": 0.75, "ended": 0}
    assert TASK.score(PROBLEM, TRICKS["exits within a call"]).parts == {"code": 1, "results": 0.25, "ended": 0}


def test_two_blocks_are_no_answer():
    assert source_of("```python\ndef f(x): return 1\n```\nor\n```python\ndef f(x): return 2\n```") is None


def test_values_are_compared_as_json():
    assert same({"value": [1, "a"]}, (1, "a")) and same({"value": {"b": 1, "a": 2}}, {"a": 2, "b": 1})
    assert not same({"value": True}, 1) and not same({"value": 1.0}, 1) and not same({"raised": "E"}, None)
    assert not same({"value": 1, "passed": True}, 1) and not same(None, None) and same({"value": None}, None)


def test_hidden_calls_are_not_in_the_statement():
    problem = Code().problem(0)
    assert "calls" not in problem.messages[-1]["content"] and str(problem.data["calls"][0][0]) not in problem.id
