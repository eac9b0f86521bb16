"""The generated domains: the same for a seed, true where they calculate, split by what they ask."""

import ast
import json
import math
import re
from fractions import Fraction

import pytest

from kimi_mini.corpus.draw import Draw
from kimi_mini.corpus.facts import key as name_of
from kimi_mini.corpus.generated import GENERATORS, generate
from kimi_mini.corpus.maths import key as question_of

TEXTS = {domain: generate(domain, 3000) for domain in GENERATORS}
PINNED = [772, 641, 992, 180, 102]
EXPRESSION = re.compile(r"[-+*/() \d]+")


def both(domain):
    return TEXTS[domain].train + TEXTS[domain].held_out


def value(expression):
    """An exact evaluator of its own: +, -, *, / over whole numbers."""

    def walk(node):
        if isinstance(node, ast.Constant):
            return Fraction(node.value)
        left, right = walk(node.left), walk(node.right)
        kind = type(node.op)
        return {ast.Add: left + right, ast.Sub: left - right, ast.Mult: left * right, ast.Div: left / (right or 1)}[kind]

    assert EXPRESSION.fullmatch(expression), expression
    return walk(ast.parse(expression.strip(), mode="eval").body)


# ---- what holds for all ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", GENERATORS)
def test_a_seed_fixes_every_document_and_more_only_adds(domain):
    few, other = generate(domain, 100), generate(domain, 100, seed=1)
    assert few.train == TEXTS[domain].train[: len(few.train)]
    assert few.held_out == TEXTS[domain].held_out[: len(few.held_out)]
    assert set(few.train) != set(other.train)


@pytest.mark.parametrize("domain", GENERATORS)
def test_a_small_part_is_held_out_and_nothing_repeats(domain):
    key = GENERATORS[domain].key
    train, held_out = ({key(text) for text in part} for part in TEXTS[domain])
    assert not train & held_out
    assert len(train) + len(held_out) == len(both(domain)) > 2500
    assert 0.02 < len(held_out) / len(both(domain)) < 0.045


def test_draws_depend_on_their_key_alone():
    assert [Draw("x", 3).number(0, 10**6) for _ in range(3)] == [Draw("x", 3).number(0, 10**6)] * 3
    # Pinned: Random(int).random() is promised to stay as it is, and nothing else may come in.
    assert [Draw("pinned", 0, n).number(0, 999) for n in range(5)] == PINNED
    numbers = Draw("many").shuffled(range(100))
    assert sorted(numbers) == list(range(100)) != numbers


@pytest.mark.parametrize("arguments", [("poems", 3), ("maths", -1), ("maths", 1.5)])
def test_what_cannot_be_generated(arguments):
    with pytest.raises(ValueError, match="will not do; expected"):
        generate(*arguments)


# ---- maths -------------------------------------------------------------------------------------------------------------


def parts_of(text):
    question, *steps, answer = text.strip().split("\n")
    assert question.startswith("Question: ") and answer.startswith("Answer: ")
    return question.removeprefix("Question: "), steps, answer.removeprefix("Answer: ")


def test_every_line_is_true():
    checked = 0
    for text in both("maths"):
        for line in text.split("\n"):
            line = re.sub(r"^(Answer: )?((\d+ \* )?x = )?|, write.*", "", line)
            sides = line.split(" = ")
            if len(sides) > 1 and all(EXPRESSION.fullmatch(side) for side in sides):
                assert len({value(side) for side in sides}) == 1, text
                checked += 1
            if re.fullmatch(r"\d+ < \d+", line):
                assert int(line.split()[0]) < int(line.split()[2]), text
                checked += 1
    assert checked > 5000


def solve(question):
    """The answer by other means than the generator's; None for tasks with many answers."""
    numbers = list(map(int, re.findall(r"\d+", question)))
    if found := re.fullmatch(r"What is ([\d +*-]+)\?", question):
        return str(value(found[1]))
    if "divided by" in question:
        quotient, rest = divmod(*numbers)
        return f"{quotient} remainder {rest}" if rest else str(quotient)
    if "greatest common divisor" in question:
        return str(math.gcd(*numbers))
    if question.startswith("Find x"):
        return f"x = {Fraction(numbers[2] - numbers[1], numbers[0])}"
    if question.startswith("What comes next"):
        return str(2 * numbers[3] - numbers[2])
    if question.startswith("Sort"):
        return ", ".join(map(str, sorted(numbers)))
    if "How many" in question:
        return str(numbers[0] + numbers[1] * numbers[2] - numbers[3])
    assert question.startswith("Make"), question


def test_every_answer_is_right():
    kinds = set()
    for question, _, answer in map(parts_of, both("maths")):
        wanted = solve(question)
        assert wanted in (None, answer), question
        kinds.add(re.sub(r"[\d, .]+", "", question)[:9])
    assert len(kinds) >= 9


def test_numbers_are_made_of_exactly_the_numbers_given():
    made = [parts for parts in map(parts_of, both("maths")) if parts[0].startswith("Make")]
    assert len(made) > 400 and any(question.startswith("Make 24 out of ") for question, _, _ in made)
    for question, steps, answer in made:
        target, *given = map(int, re.findall(r"\d+", question))
        expression, result = answer.split(" = ")
        assert value(expression) == int(result) == target
        assert sorted(map(int, re.findall(r"\d+", expression))) == sorted(given)
        assert len(steps) == len(given) - 1 and steps[-1].endswith(f" = {target}")


def test_digits_written_spell_the_sum():
    for question, steps, answer in map(parts_of, both("maths")):
        if any("write" in step for step in steps):
            assert "".join(reversed(re.findall(r"write (\d+)", " ".join(steps)))) == answer, question


def test_the_same_sum_the_other_way_round_is_the_same_question():
    assert question_of("Question: What is 3 + 14?\n") == question_of("Question: What is 14 + 3?\n")
    assert question_of("Question: What is 3 + 14?\n") != question_of("Question: What is 3 * 14?\n")


# ---- facts -------------------------------------------------------------------------------------------------------------


def test_a_document_says_the_same_three_times_and_answers_from_it():
    for text in both("facts"):
        told, asked = text.split("Question: ", 1)
        years = re.findall(r"\d{4}", told)
        assert len(years) == 3 and len(set(years)) == 1, text
        assert told.count(name_of(text)) >= 3
        for answer in re.findall(r"Answer: (.*)", asked):
            (word,) = re.findall(r"\w+", answer)[-1:]
            assert told.count(word) >= 3, text


# ---- chat --------------------------------------------------------------------------------------------------------------

MESSAGE = re.compile(r"<\|im_(system|user|assistant)\|>(\w+)<\|im_middle\|>(.*?)<\|im_end\|>", re.DOTALL)
CALL = re.compile(r"<\|tool_call_begin\|>functions\.(\w+):(\d+)<\|tool_call_argument_begin\|>(.*?)<\|tool_call_end\|>")


def read(text):
    """(declared tools, messages as (role, content)); nothing may be left over."""
    assert MESSAGE.sub("", text) == ""
    messages = [(role, content) for _, role, content in MESSAGE.findall(text)]
    declared = json.loads(messages.pop(0)[1]) if messages[0][0] == "tool_declare" else []
    return {tool["function"]["name"]: tool["function"] for tool in declared}, messages


def test_calls_parse_are_declared_counted_and_answered():
    n_calls = 0
    for text in both("chat"):
        tools, messages = read(text)
        expected, waiting = 0, []
        for role, content in messages:
            if role == "tool":
                head, result = content.split("\n", 1)
                assert head == f"## Return of {waiting.pop(0)}"
                json.loads(result)
                continue
            assert not waiting, text
            for name, number, arguments in CALL.findall(content):
                assert int(number) == expected and set(json.loads(arguments)) == set(tools[name]["parameters"]["required"])
                waiting.append(f"functions.{name}:{number}")
                expected += 1
            section = (
                f"<|tool_calls_section_begin|>{''.join(m[0] for m in re.finditer(CALL, content))}<|tool_calls_section_end|>"
            )
            assert content.endswith(section) == bool(waiting) == ("<|tool" in content)
        assert messages[-1][0] == "assistant" and not waiting
        n_calls += expected
    assert n_calls > 3000


def test_calculations_are_right_and_answers_repeat_results():
    seen = set()
    for text in both("chat"):
        _, messages = read(text)
        calls, results = [], {}
        for role, content in messages:
            if role == "user":
                calls, question = [], content
            elif role == "tool":
                name = content.split(":")[0].removeprefix("## Return of functions.")
                results.setdefault(name, []).append(json.loads(content.split("\n", 1)[1]))
            elif found := CALL.findall(content):
                calls += [(name, json.loads(arguments)) for name, _, arguments in found]
            elif calls:
                check_answer(question, calls, results, content)
                seen |= {name for name, _ in calls}
    assert seen == {"calculator", "shop", "calendar", "weather"}


def check_answer(question, calls, results, answer):
    name, arguments = calls[-1]
    result = results[name][-1]
    numbers = list(map(int, re.findall(r"-?\d+", answer)))
    if name == "calculator":
        assert result == value(arguments["expression"]) == numbers[-1]
        if len(calls) > 1:  # a basket: as many of each as were asked for, at the prices of the shop
            counts = list(map(int, re.findall(r"\d+", question)))
            prices = [price["price"] for price in results["shop"][-len(counts) :]]
            assert result == sum(n * price for n, price in zip(counts, prices, strict=True))
    elif name == "shop":
        stock = {0: [], 1: []}.get(result["stock"], [result["stock"]])
        assert numbers == [result["price"], *stock] and result["item"] == arguments["item"] in answer
    elif name == "weather":
        assert numbers == [result["degrees"]] and result["sky"] in answer and result["town"] == arguments["town"] in answer
    else:
        assert all(" at ".join(reversed(event.split(" ", 1))) in answer for event in result["events"])
        assert answer.count(" at ") == len(result["events"]) and result["day"] == arguments["day"] in question
