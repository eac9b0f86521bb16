"""Which tokens of a dialogue a model learns: its own, end of turn included, each as the target of the token before it."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
def targets_of(messages):
    """Inputs and targets of a dialogue for next-token training.

    messages   a list of dicts: "role" ("system", "user", "assistant", "tool"), "given" and "own", lists of token ids, and more.
               A message stands in the dialogue as its given tokens (marker and role), then its own (what was written in it,
               and the end of turn at last)

        inputs    all tokens of the dialogue but the last
        targets   targets[i] is the token after inputs[i] where an assistant wrote that one (its own tokens, the end of turn
                  with them), and -100, which the loss ignores, everywhere else

    Returns [inputs, targets], two lists of one length.
    """
    tokens, learn = [], []
    for message in messages:
        ours = message["role"] == "assistant"
        tokens += message["given"] + message["own"]
        learn += [False] * len(message["given"]) + [ours] * len(message["own"])
    targets = [token if ours else -100 for token, ours in zip(tokens, learn)]
    return [tokens[:-1], targets[1:]]
'''

PACKAGE = """
from kimi_mini.chat import Encoded
from kimi_mini.train.dialogues import batch_of


def targets_of(messages):
    tokens = [token for message in messages for token in message["given"] + message["own"]]
    learn = []
    for message in messages:
        learn += [False] * len(message["given"]) + [message["role"] == "assistant"] * len(message["own"])
    batch = batch_of([[Encoded(tokens, learn)]], len(tokens) - 1, pad=0)
    return [batch[0][0].tolist(), batch[1][0].tolist()]
"""

_MARKS = {"system": 1, "user": 2, "assistant": 3, "tool": 4}
_END = 9


def cases(seed: int) -> tuple[Case, ...]:
    """Dialogues that end with an assistant, with a tool, with several results in a row, and with empty messages."""
    rng = random.Random(seed)

    def message(role: str, wrong: bool = False) -> dict:
        own = [rng.randint(10, 99) for _ in range(rng.randint(1, 4))]
        calls = role == "assistant" and rng.random() < 0.5
        return {"role": role, "given": [_MARKS[role], 5], "own": [*own, _END], "call": calls, "wrong": wrong}

    def case(name: str, roles: str, wrong: tuple[int, ...] = ()) -> Case:
        names = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
        found = [message(names[role], place in wrong) for place, role in enumerate(roles)]
        writers = [one for one in found if one["role"] == "assistant"]
        for place, one in enumerate(writers):
            one["call"] = place < len(writers) - 1  # the last one is the answer
        return Case(name, (found,))

    return (
        case("a question and an answer", "ua"),
        case("a call and its result", "suata"),
        case("a call that was wrong, then a right one", "uatata", (1,)),
        case("two users' turns", "suataua"),
        case("cut off at a result", "uat"),
        case("two results in a row", "uattaua"),
    )


_OURS = '        ours = message["role"] == "assistant"\n'
_LEARN = '[ours] * len(message["own"])'
_SPEC = "                  with them), and -100, which the loss ignores, everywhere else\n"

PRACTICE = Variant(
    "all that the assistant wrote",
    SOLUTION,
    cases,
    (
        Mistake(
            "trains on tool results",
            'ours = message["role"] == "assistant"',
            'ours = message["role"] in ("assistant", "tool")',
            "Results of tools are learned. A model that learns them makes results up.",
        ),
        Mistake(
            "off by one",
            "return [tokens[:-1], targets[1:]]",
            "return [tokens[:-1], targets[:-1]]",
            "Each target is the token that was just read. It is the one after it.",
        ),
        Mistake(
            "end of turn masked",
            _LEARN,
            "([ours] * (len(message['own']) - 1) + [False])",
            "The end of turn is not learned. A model that never learned to stop goes on to the end of its budget.",
        ),
        Mistake(
            "markers learned",
            '[False] * len(message["given"])',
            '[ours] * len(message["given"])',
            "The tokens that open a message are learned. They are given, the model never writes them.",
        ),
        Mistake(
            "the mask shifted without the targets",
            "targets = [token if ours else -100 for token, ours in zip(tokens, learn)]",
            "learn = learn[:1] + learn[:-1]\n    targets = [token if ours else -100 for token, ours in zip(tokens, learn)]",
            "The mask is one place late: the first token of each answer is not learned, the first after it is.",
        ),
        Mistake(
            "users learned",
            'ours = message["role"] == "assistant"',
            'ours = message["role"] != "system"',
            "What users and tools wrote is learned.",
        ),
    ),
)

MASK = Coding(
    "targets_of",
    "Loss mask",
    minutes=15,
    difficulty=1,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "not what went wrong",
            'A message whose "wrong" is True made a call that failed: none of it is learned. It stays among the inputs.',
            (_SPEC, _SPEC + '        wrong     a message whose "wrong" is True: it is read, and none of it is learned\n'),
            (_OURS, '        ours = message["role"] == "assistant" and not message["wrong"]\n'),
            besides=("trains on tool results", "users learned"),
            also=(
                Mistake(
                    "wrong ones left out",
                    "    for message in messages:\n",
                    '    for message in messages:\n        if message["wrong"]:\n            continue\n',
                    "A wrong message is missing among the inputs. It is read, and only not learned.",
                ),
                Mistake(
                    "wrong ones learned",
                    ' and not message["wrong"]',
                    "",
                    "A call that failed was learned.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "calls only",
            'Only messages whose "call" is True are learned: the tool calls, not the prose.',
            (_SPEC, _SPEC + '        calls     of the assistant\'s messages only those whose "call" is True are learned\n'),
            (_OURS, '        ours = message["role"] == "assistant" and message["call"]\n'),
            cases=lambda seed: cases(seed)[1:],
            besides=("trains on tool results", "users learned"),
            also=(
                Mistake(
                    "prose learned",
                    ' and message["call"]',
                    "",
                    "An answer in prose was learned. Only calls are.",
                ),
                Mistake(
                    "calls left out",
                    'and message["call"]',
                    'and not message["call"]',
                    "The prose was learned and the calls were not.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "the last turn",
            "Only what the assistant wrote after the last message of a user is learned.",
            (_SPEC, _SPEC + "        turn      only messages after the user's last one are learned\n"),
            (
                "    tokens, learn = [], []\n",
                "    last = max(i for i, one in enumerate(messages) if one['role'] == 'user')\n    tokens, learn = [], []\n",
            ),
            ("    for message in messages:\n", "    for place, message in enumerate(messages):\n"),
            (_OURS, '        ours = message["role"] == "assistant" and place > last\n'),
            besides=("trains on tool results", "users learned"),
            also=(
                Mistake(
                    "the last message",
                    "and place > last\n",
                    "and place == len(messages) - 1\n",
                    "Only the last message was learned. All of the assistant's after the user's last one are.",
                ),
                Mistake(
                    "every turn",
                    " and place > last\n",
                    "\n",
                    "Turns before the user's last message were learned.",
                ),
            ),
        ),
    ),
)
