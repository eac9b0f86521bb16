"""Tool calls out of a dialogue: nothing that a model wrote crashes the reader, and nothing that is quoted is made."""

from __future__ import annotations

from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

from .calls_cases import cases, good_before, named

SOLUTION = '''
import json
import re


def read_calls(dialogue):
    """The calls that an agent makes in a dialogue, in K2's wire format, and how many of them are malformed.

    dialogue   a list of [role, pieces]: "user", "assistant" or "tool", and what stands in the message
    pieces     a list of [text, marker]: a reserved token has its name as text and True; everything else, whatever letters
               it holds, is text and False

        a call      <|tool_call_begin|> functions.NAME:IDX <|tool_call_argument_begin|> {JSON} <|tool_call_end|>
                    NAME begins with a letter or _ and goes on with letters, digits, _ and -; IDX is digits; the JSON is an
                    object, without NaN or Infinity; space around name and JSON is no fault
        made        only an assistant makes calls, and only with markers: the same letters as text are a quotation
        many        a message may hold several calls, all are read, in order; around them stand
                    <|tool_calls_section_begin|> and <|tool_calls_section_end|>
        malformed   what begins as a call and is none: another form, or not closed before the next call begins, the section
                    ends or the message ends. It is counted and left out; the others are read
        end         <|im_end|> or the last piece; nothing after <|im_end|> counts

    Returns [calls, malformed]: a list of [id, arguments], id as written ("functions.NAME:IDX"), and a number. Never raises.
    """
    calls, malformed = [], 0
    for role, pieces in dialogue:
        if role != "assistant":
            continue
        inside = None
        for text, marker in [*pieces, [END, True]]:
            if marker and text in BORDERS:
                if inside is not None:
                    call = one_call(inside) if text == CLOSE else None
                    if call is not None:
                        calls.append(call)
                    else:
                        malformed += 1
                inside = [] if text == BEGIN else None
                if text == END:
                    break
            elif inside is not None:
                inside.append([text, marker])
    return [calls, malformed]


BEGIN, MIDDLE, CLOSE = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
OPEN, SHUT, END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|im_end|>"
BORDERS = (BEGIN, CLOSE, SHUT, END)


def one_call(pieces):
    """[id, arguments] of what stands between begin and end of a call; None where it is no call."""
    if [text for text, marker in pieces if marker] != [MIDDLE]:
        return None
    place = pieces.index([MIDDLE, True])
    name = "".join(text for text, _ in pieces[:place]).strip()
    if not re.fullmatch(r"functions\\.[A-Za-z_][A-Za-z0-9_-]*:[0-9]+", name):
        return None
    try:
        arguments = json.loads("".join(text for text, _ in pieces[place + 1 :]), parse_constant=refuse)
    except ValueError:
        return None
    return [name, arguments] if isinstance(arguments, dict) else None


def refuse(constant):
    raise ValueError(constant)
'''

PACKAGE = """
from kimi_mini import chat, corpus

tokenizer = corpus.load().tokenizer


def read_calls(dialogue):
    found = []
    for role, pieces in dialogue:
        if role == "assistant":
            tokens = [token for text, marker in pieces for token in tokenizer.encode(text, special=marker)]
            found.append(chat.parse(tokens, tokenizer))
    calls = [[call.id, call.arguments] for message in found for call in message.calls]
    return [calls, sum(len(message.malformed) for message in found)]
"""

_GOOD = "                    if call is not None:\n                        calls.append(call)\n"
_LOAD = 'arguments = json.loads("".join(text for text, _ in pieces[place + 1 :]), parse_constant=refuse)'
_COUNTED = "It is counted and left out; the others are read\n"

PRACTICE = Variant(
    "every call that can be made",
    SOLUTION,
    cases,
    (
        Mistake(
            "crash on malformed",
            "except ValueError:",
            "except ZeroDivisionError:",
            "Arguments that are no JSON stopped the reader. A model can write anything; count it and go on.",
        ),
        Mistake(
            "only the first of parallel calls",
            "                        calls.append(call)\n",
            "                        calls.append(call)\n                        break\n",
            "Only the first call of a message was read. A message may hold several.",
        ),
        Mistake(
            "a user's call executed",
            '        if role != "assistant":\n            continue\n',
            "",
            "A call in a user's or a tool's message was made. Only the assistant makes calls.",
        ),
        Mistake(
            "quoted letters executed",
            "        for text, marker in [*pieces, [END, True]]:\n",
            '        spelled = "|".join(map(re.escape, (*BORDERS, MIDDLE, OPEN)))\n'
            '        pieces = re.split(f"({spelled})", "".join(text for text, _ in pieces))\n'
            "        pieces = [[text, text in (*BORDERS, MIDDLE, OPEN)] for text in pieces if text]\n"
            "        for text, marker in [*pieces, [END, True]]:\n",
            "Letters that spell a marker were taken for the marker. A quotation became a call.",
        ),
        Mistake(
            "unclosed calls made",
            "one_call(inside) if text == CLOSE else None",
            "one_call(inside)",
            "A call that was not closed was made. Its arguments may be cut off.",
        ),
        Mistake(
            "lists as arguments",
            "return [name, arguments] if isinstance(arguments, dict) else None",
            "return [name, arguments]",
            "Arguments that are no object were accepted.",
        ),
        Mistake(
            "NaN accepted",
            _LOAD,
            'arguments = json.loads("".join(text for text, _ in pieces[place + 1 :]))',
            "NaN was accepted. Python's json reads it, JSON has no such thing.",
        ),
        Mistake(
            "names not checked",
            r"""    if not re.fullmatch(r"functions\.[A-Za-z_][A-Za-z0-9_-]*:[0-9]+", name):
        return None
""",
            "",
            "A call without functions.NAME:IDX was made.",
        ),
        Mistake(
            "faults not counted",
            "malformed += 1",
            "malformed += 0",
            "Malformed calls were not counted. A judge wants to know of them.",
        ),
        Mistake(
            "read on after the end",
            "                if text == END:\n                    break\n",
            "",
            "A call after <|im_end|> was made. The message was over.",
        ),
    ),
)


def _changed(name: str, change: str, line: str, *patches: tuple[str, str], also: tuple[Mistake, ...], **more) -> Variant:
    return twist(PRACTICE, name, change, (_COUNTED, _COUNTED + line), *patches, also=also, **more)


CALLS = Coding(
    "read_calls",
    "Parser",
    minutes=25,
    difficulty=3,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        _changed(
            "an id once",
            "An id may be used once in a dialogue: a call whose id a call before it has is malformed.",
            "        twice       a call whose id a call before it in the dialogue has is malformed too\n",
            (_GOOD, _GOOD.replace("if call is not None:", "if call is not None and call[0] not in [one[0] for one in calls]:")),
            also=(
                Mistake(
                    "neighbours only",
                    "call[0] not in [one[0] for one in calls]:",
                    "call[0] not in [one[0] for one in calls[-1:]]:",
                    "An id was compared with the last call only. Compare it with all calls of the dialogue.",
                ),
            ),
        ),
        _changed(
            "all or nothing",
            "Where a message holds a malformed call, none of its calls is made; the malformed ones are counted as before.",
            "        together    a message that holds a malformed call has none of its calls read (nor counted as malformed)\n",
            ("        inside = None\n", "        inside, before, faults = None, len(calls), malformed\n"),
            (
                "    return [calls, malformed]\n",
                "        if malformed > faults:\n            del calls[before:]\n    return [calls, malformed]\n",
            ),
            also=(
                Mistake(
                    "the whole dialogue",
                    "del calls[before:]",
                    "calls.clear()",
                    "A malformed call took back calls of other messages. Only those of its own message are not made.",
                ),
                Mistake(
                    "only what follows",
                    "        if malformed > faults:\n            del calls[before:]\n",
                    "",
                    "Calls beside a malformed one were made. None of the message's calls is.",
                ),
            ),
            cases=good_before,
        ),
        _changed(
            "known tools",
            "The tools are search, order and cancel; a call of any other is malformed.",
            "        tools       search, order and cancel; a call of any other is malformed too\n",
            (
                'if not re.fullmatch(r"functions\\.[A-Za-z_][A-Za-z0-9_-]*:[0-9]+", name):',
                'if not re.fullmatch(r"functions\\.(search|order|cancel):[0-9]+", name):',
            ),
            (
                "NAME begins with a letter or _ and goes on with letters, digits, _ and -; IDX is digits;",
                "NAME is one of the tools below; IDX is digits;",
            ),
            also=(
                Mistake(
                    "names that begin alike",
                    "(search|order|cancel):",
                    "(search|order|cancel)[a-z_]*:",
                    "A tool whose name only begins like a known one was called.",
                ),
                Mistake(
                    "any name",
                    r"functions\.(search|order|cancel):[0-9]+",
                    r"functions\.[A-Za-z_][\w-]*:[0-9]+",
                    "A tool that is not there was called.",
                ),
            ),
            cases=named,
        ),
    ),
)
