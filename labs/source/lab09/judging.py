"""A run judged by a rubric: what the database says, not what the agent says."""

from __future__ import annotations

from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

from .judging_cases import cases, longer

SOLUTION = '''
def judge(run, rubric):
    """One agent's run, judged item by item.

    run       {"calls": a list of [tool, arguments, ok], in order; "start" and "end": the database, {key: value},
              before and after; "last": the agent's last message}
    rubric    {"changes": {key: value at the end}, "looks": a list of [tool, arguments], "before": a list of [first, then],
              "limits": a list of [tool, argument, most], "says": a list of texts}

        state    the database has changed in exactly the keys of `changes`, each to the value that stands there (None: it is
                 gone). What the last message claims is of no account
        looks    each of `looks` was called with these arguments, and succeeded
        order    for each pair, no call of the tool `then` was tried before a call of `first` had succeeded. Nothing else
                 about the order of calls is demanded
        policy   for each limit, no call of that tool that succeeded had an argument above `most`
        told     the last message holds each of the texts
        kept     all of these

    Returns a dict: "state", "looks", "order", "policy", "told", "kept", each True or False.
    """
    calls, start, end = run["calls"], run["start"], run["end"]
    changes = {key: end.get(key) for key in [*start, *end] if start.get(key) != end.get(key)}
    done = [[tool, arguments] for tool, arguments, ok in calls if ok]

    def kept_apart(first, then):
        for tool, _, ok in calls:
            if tool == first and ok:
                return True
            if tool == then:
                return False
        return True

    items = {
        "state": changes == rubric["changes"],
        "looks": all(look in done for look in rubric["looks"]),
        "order": all(kept_apart(first, then) for first, then in rubric["before"]),
        "policy": not any(
            tool == limited and arguments.get(argument, 0) > most
            for limited, argument, most in rubric["limits"]
            for tool, arguments in done
        ),
        "told": all(text in run["last"] for text in rubric["says"]),
    }
    return {**items, "kept": all(items.values())}
'''

PACKAGE = """
from kimi_mini.tools import canonical


def judge(run, rubric):
    done = [(tool, canonical(arguments)) for tool, arguments, ok in run["calls"] if ok]
    keys = {key for key in run["start"] | run["end"] if run["start"].get(key) != run["end"].get(key)}
    tools = [tool for tool, _, _ in run["calls"]]

    def first_place(name, ok):
        return next((i for i, call in enumerate(run["calls"]) if call[0] == name and (call[2] or not ok)), len(tools))

    items = {
        "state": canonical({key: run["end"].get(key) for key in keys}) == canonical(rubric["changes"]),
        "looks": {(tool, canonical(arguments)) for tool, arguments in rubric["looks"]} <= set(done),
        "order": all(first_place(a, True) <= first_place(b, False) for a, b in rubric["before"]),
        "policy": all(
            arguments.get(argument, 0) <= most
            for limited, argument, most in rubric["limits"]
            for tool, arguments, ok in run["calls"]
            if ok and tool == limited
        ),
        "told": all(run["last"].count(text) for text in rubric["says"]),
    }
    return {**items, "kept": False not in items.values()}
"""


_KEPT = 'return {**items, "kept": all(items.values())}'
_ORDER = '"order": all(kept_apart(first, then) for first, then in rubric["before"]),'
_SPEC = "        kept     all of these\n"
_ENDED = "the last message holds each of the texts\n"
_RETURNS = 'Returns a dict: "state", "looks", "order", "policy", "told", "kept"'

PRACTICE = Variant(
    "all items",
    SOLUTION,
    cases,
    (
        Mistake(
            "done is believed",
            '"state": changes == rubric["changes"],',
            '"state": all(text in run["last"] for text in rubric["says"]),',
            "The agent said that it was done, and was believed. Ask the database.",
        ),
        Mistake(
            "one fixed order demanded",
            _ORDER,
            '"order": [tool for tool, _, _ in calls if tool in ("customer", "look", "cancel", "buy")]\n'
            '        == ["customer", "look", "cancel", "buy"],',
            "A good run in another order was refused. Only the pairs of `before` are demanded.",
        ),
        Mistake(
            "policy breach passes",
            "arguments.get(argument, 0) > most",
            "arguments.get(argument, 0) > 99",
            "A breach of the policy passed. The tool let it pass; the judge may not.",
        ),
        Mistake(
            "failed looks count",
            "done = [[tool, arguments] for tool, arguments, ok in calls if ok]",
            "done = [[tool, arguments] for tool, arguments, ok in calls]",
            "A call that failed was taken for one that succeeded.",
        ),
        Mistake(
            "side effects pass",
            '"state": changes == rubric["changes"],',
            '"state": all(changes.get(key, end.get(key)) == value for key, value in rubric["changes"].items()),',
            "Something changed that should not have, and it passed.",
        ),
        Mistake(
            "what is gone is not seen",
            "for key in [*start, *end] if",
            "for key in end if",
            "Something should be gone, and it was not looked for: it stands in the database before and not after.",
        ),
        Mistake(
            "refused attempts are no attempts",
            "            if tool == then:\n",
            "            if tool == then and ok:\n",
            "An act was tried before its look and refused. Trying counts.",
        ),
        Mistake(
            "any arguments",
            '"looks": all(look in done for look in rubric["looks"]),',
            '"looks": all(look[0] in [tool for tool, _ in done] for look in rubric["looks"]),',
            "It looked at something else, and it passed. The arguments count.",
        ),
        Mistake(
            "one item is enough",
            "all(items.values())",
            "any(items.values())",
            "A run was kept for one good item. All must hold.",
        ),
    ),
)

JUDGE = Coding(
    "judge",
    "Rubric and judge",
    minutes=25,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "not too long",
            'One item more, "short": the run has at most two calls more than `looks` and `changes` together have entries.',
            (
                _ENDED,
                _ENDED + "        short    it made at most two calls more than `looks` and `changes` together have entries\n",
            ),
            (_RETURNS, 'Returns a dict: "state", "looks", "order", "policy", "told", "short", "kept"'),
            (
                _KEPT,
                'items["short"] = len(calls) <= len(rubric["looks"]) + len(rubric["changes"]) + 2\n    ' + _KEPT,
            ),
            cases=longer,
            also=(
                Mistake(
                    "six are too many",
                    'rubric["changes"]) + 2',
                    'rubric["changes"])',
                    "A run with two calls more was refused. Two more are allowed.",
                ),
                Mistake(
                    "only calls that succeeded",
                    'items["short"] = len(calls)',
                    'items["short"] = len(done)',
                    "Calls that failed were not counted. Every call counts.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "failures made good",
            'One item more, "again": after each call that failed, a later call of the same tool succeeded.',
            (_ENDED, _ENDED + "        again    after each call that failed, a later call of the same tool succeeded\n"),
            (_RETURNS, 'Returns a dict: "state", "looks", "order", "policy", "told", "again", "kept"'),
            (
                _KEPT,
                'items["again"] = all(\n'
                "        ok or any(later == tool and good for later, _, good in calls[place:])\n"
                "        for place, (tool, _, ok) in enumerate(calls)\n    )\n    " + _KEPT,
            ),
            also=(
                Mistake(
                    "made good before",
                    "in calls[place:])",
                    "in calls)",
                    "A success before the failure counted. It must come after it.",
                ),
                Mistake(
                    "no failure allowed",
                    "ok or any(later == tool and good for later, _, good in calls[place:])",
                    "ok",
                    "A failure that was made good was refused.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "two must, two of three",
            'A run is kept if "state" and "policy" hold and at least two of "looks", "order" and "told".',
            (_SPEC, "        kept     state and policy, and at least two of looks, order and told\n"),
            (
                _KEPT,
                'soft = items["looks"] + items["order"] + items["told"]\n'
                '    return {**items, "kept": items["state"] and items["policy"] and soft >= 2}',
            ),
            besides=("done is believed",),
            also=(
                Mistake(
                    "any four of five",
                    'items["state"] and items["policy"] and soft >= 2',
                    "sum(items.values()) >= 4",
                    "A run was kept without its state or against the policy. These two must hold.",
                ),
                Mistake(
                    "one of three",
                    "soft >= 2",
                    "soft >= 1",
                    "One of looks, order and told was enough. Two must hold.",
                ),
                Mistake(
                    "done is believed",
                    '"state": changes == rubric["changes"],',
                    '"state": all(text in run["last"] for text in rubric["says"]),',
                    "The agent said that it was done, and was believed. Ask the database.",
                ),
            ),
        ),
    ),
)
