"""A dozen problems with tests, written by hand, for a model that can program; what is right is typed, not computed."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from .code_lines import CodeProblem


def _problem(name: str, statement: str, gold: str, wrong: str, *tests: tuple[tuple[Any, ...], Any]) -> CodeProblem:
    head = f"Write a Python function {name}. {statement} Reply with one block of code and nothing else."
    calls, results = zip(*tests, strict=True)
    return CodeProblem(name.partition("(")[0], head, name.partition("(")[0], calls, results, *map(_code, (gold, wrong)))


def _code(text: str) -> str:
    return f"```python\n{dedent(text).strip()}\n```"


PROBLEMS = (
    _problem(
        "pair_with_sum(numbers, target)",
        "It returns the indices [i, j], i < j, of the first pair that adds up to target: the smallest j, and for it the "
        "smallest i; an empty list where there is none.",
        """
        def pair_with_sum(numbers, target):
            for j in range(len(numbers)):
                for i in range(j):
                    if numbers[i] + numbers[j] == target:
                        return [i, j]
            return []
        """,
        """
        def pair_with_sum(numbers, target):
            for i in range(len(numbers)):
                for j in range(i, len(numbers)):
                    if numbers[i] + numbers[j] == target:
                        return [i, j]
            return []
        """,
        (([2, 7, 11, 15], 9), [0, 1]), (([3, 2, 4], 6), [1, 2]), (([1, 2], 7), []), (([], 0), []), (([5, 1, 4, 0], 5), [1, 2]),
        (([-3, 4, 3, 90], 0), [0, 2]),
    ),
    _problem(
        "balanced(text)",
        "It says whether the brackets ()[]{} in text close in the right order; other characters do not matter.",
        """
        def balanced(text):
            opened, pairs = [], {")": "(", "]": "[", "}": "{"}
            for letter in text:
                if letter in "([{":
                    opened.append(letter)
                elif letter in pairs and (not opened or opened.pop() != pairs[letter]):
                    return False
            return not opened
        """,
        """
        def balanced(text):
            return all(text.count(a) == text.count(b) for a, b in ("()", "[]", "{}"))
        """,
        (("",), True), (("a(b[c]{d})",), True), (("([)]",), False), (("(",), False), ((")(",), False), (("[[]]{",), False),
    ),
    _problem(
        "from_roman(text)",
        "It returns the value of a Roman numeral such as XIV.",
        """
        def from_roman(text):
            worth = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
            total = 0
            for letter, following in zip(text, text[1:] + "I"):
                total += worth[letter] if worth[letter] >= worth[following] else -worth[letter]
            return total
        """,
        """
        def from_roman(text):
            worth = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
            return sum(worth[letter] for letter in text)
        """,
        (("III",), 3), (("IV",), 4), (("XIV",), 14), (("XC",), 90), (("MCMXCIV",), 1994), (("MMXXV",), 2025),
    ),
    _problem(
        "run_lengths(text)",
        'It returns text with each run of equal characters as the character and its count: "aab" gives "a2b1".',
        """
        from itertools import groupby

        def run_lengths(text):
            return "".join(f"{letter}{len(list(run))}" for letter, run in groupby(text))
        """,
        """
        def run_lengths(text):
            return "".join(f"{letter}{text.count(letter)}" for letter in dict.fromkeys(text))
        """,
        (("aab",), "a2b1"), (("",), ""), (("abba",), "a1b2a1"), (("zzzzzzzzzzz",), "z11"), (("a a",), "a1 1a1"),
    ),
    _problem(
        "merge(intervals)",
        "Given closed intervals [low, high], it returns those of their union, sorted; intervals that touch in a point are one.",
        """
        def merge(intervals):
            merged = []
            for low, high in sorted(intervals):
                if merged and low <= merged[-1][1]:
                    merged[-1][1] = max(merged[-1][1], high)
                else:
                    merged.append([low, high])
            return merged
        """,
        """
        def merge(intervals):
            merged = []
            for low, high in sorted(intervals):
                if merged and low < merged[-1][1]:
                    merged[-1][1] = high
                else:
                    merged.append([low, high])
            return merged
        """,
        (([[1, 3], [2, 6], [8, 10]],), [[1, 6], [8, 10]]), (([[1, 4], [4, 5]],), [[1, 5]]), (([],), []),
        (([[1, 10], [2, 3]],), [[1, 10]]), (([[5, 6], [1, 2]],), [[1, 2], [5, 6]]),
    ),
    _problem(
        "common_prefix(words)",
        "It returns the longest text that every word begins with; an empty text for an empty list.",
        """
        def common_prefix(words):
            prefix = ""
            for letters in zip(*words):
                if len(set(letters)) > 1:
                    break
                prefix += letters[0]
            return prefix
        """,
        """
        def common_prefix(words):
            return "".join(letters[0] for letters in zip(*words) if len(set(letters)) == 1)
        """,
        ((["flower", "flow", "flight"],), "fl"), (([],), ""), ((["abc"],), "abc"), ((["abc", "xbc"],), ""), ((["", "a"],), ""),
    ),
    _problem(
        "spiral(matrix)",
        "It returns the elements of a matrix (a list of rows) in clockwise order from the top left, spiralling inwards.",
        """
        def spiral(matrix):
            order, rows = [], [list(row) for row in matrix]
            while rows:
                order += rows.pop(0)
                rows = [list(column) for column in zip(*rows)][::-1]
            return order
        """,
        """
        def spiral(matrix):
            return [value for at, row in enumerate(matrix) for value in (row[::-1] if at % 2 else row)]
        """,
        (([[1, 2, 3], [4, 5, 6], [7, 8, 9]],), [1, 2, 3, 6, 9, 8, 7, 4, 5]), (([],), []), (([[1, 2, 3]],), [1, 2, 3]),
        (([[1], [2], [3]],), [1, 2, 3]), (([[1, 2], [3, 4], [5, 6]],), [1, 2, 4, 6, 5, 3]),
    ),
    _problem(
        "edit_distance(a, b)",
        "It returns the least number of insertions, deletions and replacements of a character that turn text a into text b.",
        """
        def edit_distance(a, b):
            row = list(range(len(b) + 1))
            for i, x in enumerate(a, 1):
                row, above = [i], row
                for j, y in enumerate(b, 1):
                    row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
            return row[-1]
        """,
        """
        def edit_distance(a, b):
            return sum(x != y for x, y in zip(a, b)) + abs(len(a) - len(b))
        """,
        (("kitten", "sitting"), 3), (("", "abc"), 3), (("same", "same"), 0), (("abc", "bc"), 1),
        (("intention", "execution"), 5),
    ),
    _problem(
        "postfix(tokens)",
        "It works out an expression in postfix notation, a list of texts: integers and + - *. [\"3\", \"4\", \"-\"] gives -1.",
        """
        def postfix(tokens):
            stack = []
            for token in tokens:
                if token in ("+", "-", "*"):
                    b, a = stack.pop(), stack.pop()
                    stack.append(a + b if token == "+" else a - b if token == "-" else a * b)
                else:
                    stack.append(int(token))
            return stack[0]
        """,
        """
        def postfix(tokens):
            stack = []
            for token in tokens:
                if token in ("+", "-", "*"):
                    a, b = stack.pop(), stack.pop()
                    stack.append(a + b if token == "+" else a - b if token == "-" else a * b)
                else:
                    stack.append(int(token))
            return stack[0]
        """,
        ((["3", "4", "-"],), -1), ((["2", "3", "+", "4", "*"],), 20), ((["-5"],), -5),
        ((["10", "2", "3", "*", "-"],), 4), ((["1", "2", "3", "-", "-"],), 2),
    ),
    _problem(
        "prime_factors(n)",
        "For an integer n >= 1 it returns its prime factors in rising order, each as often as it divides n; [] for 1.",
        """
        def prime_factors(n):
            factors, p = [], 2
            while p * p <= n:
                while n % p == 0:
                    factors.append(p)
                    n //= p
                p += 1
            return factors + [n] * (n > 1)
        """,
        """
        def prime_factors(n):
            return [p for p in range(2, n + 1) if n % p == 0 and all(p % q for q in range(2, p))]
        """,
        ((1,), []), ((2,), [2]), ((12,), [2, 2, 3]), ((97,), [97]), ((1001,), [7, 11, 13]), ((64,), [2, 2, 2, 2, 2, 2]),
    ),
    _problem(
        "fewest_coins(coins, amount)",
        "It returns the least number of coins, each usable without limit, that make amount exactly; -1 where none do.",
        """
        def fewest_coins(coins, amount):
            best = [0] + [None] * amount
            for total in range(1, amount + 1):
                ways = [best[total - coin] for coin in coins if coin <= total and best[total - coin] is not None]
                best[total] = 1 + min(ways) if ways else None
            return -1 if best[amount] is None else best[amount]
        """,
        """
        def fewest_coins(coins, amount):
            count = 0
            for coin in sorted(coins, reverse=True):
                count, amount = count + amount // coin, amount % coin
            return -1 if amount else count
        """,
        (([1, 2, 5], 11), 3), (([2], 3), -1), (([1, 3, 4], 6), 2), (([7], 0), 0), (([5, 10], 30), 3), (([4, 5], 8), 2),
    ),
    _problem(
        "caesar(text, shift)",
        "It moves each letter a-z and A-Z by shift places, round the alphabet, keeping its case; other characters stay.",
        """
        def caesar(text, shift):
            moved = ""
            for letter in text:
                base = ord("a") if "a" <= letter <= "z" else ord("A") if "A" <= letter <= "Z" else None
                moved += letter if base is None else chr((ord(letter) - base + shift) % 26 + base)
            return moved
        """,
        """
        def caesar(text, shift):
            return "".join(chr(ord(letter) + shift) for letter in text)
        """,
        (("abc", 1), "bcd"), (("xyz", 3), "abc"), (("Hello, World!", 13), "Uryyb, Jbeyq!"), (("bcd", -1), "abc"),
        (("a", 52), "a"),
    ),
)  # fmt: skip
