"""Close the loop: what a critic may learn from."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
def lessons(rollouts, step, fresh):
    """The pairs that a critic learns from while the actor is trained: closing the loop.

    rollouts   a list of {"prompt", "step": when it was drawn, "verifiable": True or False, "answers": a list of
               {"text", "critic": the critic's own score, "check": 1 or 0 by a program, or None where no program can tell,
               "truth": what the authors of the task know and nobody in the loop may see}}
    step       now
    fresh      a rollout may be this many steps old, and no older

        learned from   verifiable prompts only, fresh rollouts only
        pairs          within one rollout, every answer whose check is 1 before every answer whose check is 0

    Returns a list of [better text, worse text], in the order of the rollouts, then of the better, then of the worse answer.
    """
    pairs = []
    for rollout in rollouts:
        if not rollout["verifiable"] or step - rollout["step"] > fresh:
            continue
        good = [answer["text"] for answer in rollout["answers"] if answer["check"] == 1]
        bad = [answer["text"] for answer in rollout["answers"] if answer["check"] == 0]
        pairs += [[better, worse] for better in good for worse in bad]
    return pairs
'''

PACKAGE = SOLUTION

_TRUSTED = 'if not rollout["verifiable"] or step - rollout["step"] > fresh:'
_GOOD = '[answer["text"] for answer in rollout["answers"] if answer["check"] == 1]'
_BAD = '[answer["text"] for answer in rollout["answers"] if answer["check"] == 0]'


def cases(seed: int) -> tuple[Case, ...]:
    """Old and new rollouts of both kinds, among them prompts that all answers solve, and none."""
    rng = random.Random(seed)
    serial = iter(rng.sample(range(100, 1000), 200))

    def rollout(step: int, checks: list[int | None]) -> dict:
        answers = [
            {
                "text": f"answer {next(serial)}",
                "critic": round(rng.random(), 2),
                "check": check,
                "truth": rng.randint(0, 1) if check is None else check,
            }
            for check in checks
        ]
        prompt = f"prompt {rng.randint(1, 9)}"
        return {"prompt": prompt, "step": step, "verifiable": checks[0] is not None, "answers": answers}

    now = rng.randint(20, 60)
    mixed = [rollout(now - age, [1, 0, 0, 1]) for age in (0, 3, 4, 5)]
    for one in mixed:  # in each the critic is wrong about its first pair
        one["answers"][0]["critic"], one["answers"][1]["critic"] = 0.1, 0.9
    hidden = [rollout(now - age, [None] * 4) for age in (0, 1)]
    return (
        Case("old and fresh", (mixed, now, 4)),
        Case("some that no program can tell", ([*hidden, mixed[0], hidden[0]], now, 4)),
        Case("all right, all wrong, half", ([rollout(now, [1] * 3), rollout(now, [0] * 3), rollout(now, [0, 1, 1])], now, 2)),
        Case("only this step", ([rollout(now, [1, 0]), rollout(now - 1, [1, 0])], now, 0)),
        Case("nothing to learn", (hidden, now, 9)),
    )


PRACTICE = Variant(
    "every pair",
    SOLUTION,
    cases,
    (
        Mistake(
            "critic trained on its own labels",
            _TRUSTED,
            'for answer in rollout["answers"]:\n'
            '            answer["check"] = int(answer["critic"] > 0.5)\n'
            '        if step - rollout["step"] > fresh:',
            "The critic's own score was taken for right. It then learns to agree with itself.",
        ),
        Mistake(
            "hidden truth leaks in",
            _TRUSTED,
            'for answer in rollout["answers"]:\n'
            '            answer["check"] = answer["truth"]\n'
            '        if step - rollout["step"] > fresh:',
            "The hidden truth was read. Nobody in the loop has it: only what a program can check may be learned from.",
        ),
        Mistake(
            "stale runs",
            ' or step - rollout["step"] > fresh:',
            ":",
            "Old rollouts were used. The critic has to learn what the actor writes now.",
        ),
        Mistake(
            "one step too strict",
            "> fresh:",
            ">= fresh:",
            "A rollout that is exactly `fresh` steps old was left out.",
        ),
        Mistake(
            "across prompts",
            "        pairs += [[better, worse] for better in good for worse in bad]\n    return pairs\n",
            "        pairs.append((good, bad))\n"
            "    return [[better, worse] for good, _ in pairs for better in good for _, bad in pairs for worse in bad]\n",
            "Answers to different prompts were paired. A right answer to an easy prompt is no better writing.",
        ),
        Mistake(
            "worse before better",
            "[[better, worse] for better",
            "[[worse, better] for better",
            "The worse answer stands first. It is [better, worse].",
        ),
    ),
)

LOOP = Coding(
    "lessons",
    "Close the loop",
    minutes=18,
    difficulty=2,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "one pair a rollout",
            "Each rollout gives at most one pair: its first answer with check 1 and its first with check 0.",
            (
                "        pairs          within one rollout, every answer whose check is 1 before every answer whose "
                "check is 0\n",
                "        pairs          within one rollout, the first answer whose check is 1 and the first whose "
                "check is 0, if both are\n"
                "                       there\n",
            ),
            (
                "pairs += [[better, worse] for better in good for worse in bad]",
                "pairs += [[better, worse] for better in good[:1] for worse in bad[:1]]",
            ),
            besides=("across prompts",),
            also=(
                Mistake(
                    "every pair",
                    "for better in good[:1] for worse in bad[:1]]",
                    "for better in good for worse in bad]",
                    "A rollout gave several pairs. Here it gives one.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "only where the critic is wrong",
            "A pair is learned only where the critic's own scores do not prefer the better answer: its score is at "
            "most the worse "
            "one's.",
            (
                "before every answer whose check is 0\n",
                "before every answer whose check is 0,\n"
                "                       if the critic's score of the first is at most its score of the second\n",
            ),
            (_GOOD, '[answer for answer in rollout["answers"] if answer["check"] == 1]'),
            (_BAD, '[answer for answer in rollout["answers"] if answer["check"] == 0]'),
            (
                "pairs += [[better, worse] for better in good for worse in bad]",
                'wrong = [(b, w) for b in good for w in bad if b["critic"] <= w["critic"]]\n'
                '        pairs += [[better["text"], worse["text"]] for better, worse in wrong]',
            ),
            besides=("across prompts", "worse before better"),
            also=(
                Mistake(
                    "where it is right",
                    'if b["critic"] <= w["critic"]',
                    'if b["critic"] > w["critic"]',
                    "Pairs that the critic has right were taken. It learns from those it has wrong.",
                ),
                Mistake(
                    "all of them",
                    ' if b["critic"] <= w["critic"]]',
                    "]",
                    "Pairs that the critic has right already were learned too.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "the newest of a prompt",
            "Of several rollouts of one prompt that may be learned from, only the one with the largest step counts; "
            "of equal steps "
            "the later in the list.",
            (
                "        learned from   verifiable prompts only, fresh rollouts only\n",
                "        learned from   verifiable prompts only, fresh rollouts only, and of those with the same "
                "prompt only the one\n"
                "                       with the largest step (of equal steps, the later in the list)\n",
            ),
            (
                "    pairs = []\n    for rollout in rollouts:\n",
                "    pairs, newest = [], {}\n"
                "    for place, rollout in enumerate(rollouts):\n"
                '        if rollout["verifiable"] and step - rollout["step"] <= fresh:\n'
                '            best = newest.get(rollout["prompt"])\n'
                '            if best is None or rollout["step"] >= rollouts[best]["step"]:\n'
                '                newest[rollout["prompt"]] = place\n'
                "    for place in sorted(newest.values()):\n        rollout = rollouts[place]\n",
            ),
            (
                "        " + _TRUSTED + "\n            continue\n",
                "",
            ),
            cases=lambda seed: (*cases(seed), _again(seed)),
            also=(
                Mistake(
                    "the first of a prompt",
                    "if best is None or rollout",
                    "if best is None and rollout",
                    "The first rollout of a prompt was kept. The newest counts.",
                ),
                Mistake(
                    "old ones",
                    ' and step - rollout["step"] <= fresh:',
                    ":",
                    "Old rollouts were used.",
                ),
                Mistake(
                    "no program can tell",
                    'if rollout["verifiable"] and step',
                    "if step",
                    "A rollout whose answers no program can check took the place of one that can be learned from.",
                ),
            ),
        ),
    ),
)


def _again(seed: int) -> Case:
    """One prompt three times, not in the order of its steps, the newest without a check."""
    rng = random.Random(seed + 1)
    now = rng.randint(30, 50)

    def rollout(step: int, verifiable: bool) -> dict:
        checks = [1, 0] if verifiable else [None, None]
        answers = [{"text": f"answer {rng.randint(0, 10**6)}", "critic": 0.5, "check": c, "truth": 1} for c in checks]
        return {"prompt": "one prompt", "step": step, "verifiable": verifiable, "answers": answers}

    return Case("one prompt again and again", ([rollout(now - 1, True), rollout(now - 3, True), rollout(now, False)], now, 4))
