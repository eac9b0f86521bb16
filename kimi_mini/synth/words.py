"""What the fidelity check knows of English: small tables, and how a text falls into clauses of words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .chunks import sentences

_FUNCTION = frozenset(
    """a about above across after again all also although always am among an and any are as at be because been before being
    between both but by can could did do does doing down during each either else ever every few for from further had has have
    having he her here hers him his how however i if in indeed into is it its itself just least less like many may me might mine
    more most much must my near nor now of off often on once one only onto or other others our out over own per perhaps quite
    rather same she should so some still such than that the their theirs them themselves then there these they this those
    though through thus to today together too toward towards under until up upon us very was we were what when where whether
    which while who whom whose why will with within would yet you your people""".split()
)
# How a telling is framed: these words carry no fact of their own.
_FRAME = frozenset(
    """answer ask asked course dear fact friend guide hear imagine know knows listen mention note notice picture question reader
    recall remember said say says short story summary tell tells text think told traveller travellers visitor visitors
    word words""".split()
)
# Wordings of one thing; the first is its name. A sign before a word turns its sense round; close_d is "closed", not "near".
_SENSES = """
    found establish begin date set start origin
    know famous renown celebrate noted reputation
    lie stand sit locate situate bank run flow
    live home house dwell reside inhabit
    born birth
    make produce manufacture craft create
    mayor
    ferry boat
    work job profession trade living
    keep own pet
    big large great -small -little
    near close -far -distant
    open -close_d -shut
    early -late
    increase rise grow -decrease -fall -shrink
    hot warm -cold -cool
    allow permit -forbid -prohibit
    true correct right -false -wrong -incorrect
    north -south
    east -west
    first -last
    win won -lose -lost
    rich wealthy -poor
    old ancient -new -young -modern
    buy bought purchase -sell -sold
    child -adult
    alive -dead
"""
_SENSE_OF = {}
for _line in _SENSES.split("\n"):
    for _word in _line.split():
        _SENSE_OF[_word.lstrip("-")] = (_line.split()[0], not _word.startswith("-"))
_IRREGULAR = dict(
    pair.split(":")
    for pair in """made:make kept:keep ran:run lay:lie lies:lie lying:lie lived:live began:begin begun:begin stood:stand sat:sit
    known:know rose:rise grew:grow fell:fall built:build wrote:write written:write sang:sing taught:teach closed:close_d
    founder:found founding:found foundation:found dates:date children:child died:dead banks:bank homes:home men:man
    women:woman""".split()
)
# Things of one kind: one of them for another changes the meaning.
_ALIKE = """
    cat crow dog donkey goat goose horse owl parrot tortoise cow sheep pig hen duck mouse fox wolf bear
    bell boat bread brick cheese clock glass honey lamp map paper rope salt silk tea tool wool coffee wine beer iron gold silver
    baker carpenter doctor farmer gardener judge miller painter pilot printer sailor singer tailor teacher smith nurse lawyer
    red green blue yellow black white brown grey purple
    monday tuesday wednesday thursday friday saturday sunday
    january february march april june july august september october november december
    spring summer autumn winter
    north south east west
    daily weekly monthly yearly
"""
_NEGATIONS = frozenset("not no never none nobody nothing neither nor without cannot nowhere hardly unable".split())
_COPULAS = ("is", "are", "was", "were")
_NO_NEGATION = re.compile(
    r"\bnot only\b|\bno doubt\b|\bno less than\b|\bnothing (?:\w+ )?(?:but|\w+er than)\b|"
    r"\b(?:nothing|nobody|none|no \w+|never)\b[^.;]*\b(?:\w+er|more|less|dearer|better)\b[^.;]*\bthan\b",
    re.IGNORECASE,
)
_UNITS = """zero - two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen"""
_NUMBER_WORDS = {word: value for value, word in enumerate(_UNITS.split()) if word != "-"}
_TENS = {word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_DIGITS = r"(?:(?<!\w)[+-])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
_WORD = re.compile(rf"{_DIGITS}|[^\W\d_]+(?:['’][^\W\d_]+)*(?:-[^\W\d_]+)*")
_SPLIT = re.compile(r"[,;:()—–]\s+|\s[—–-]\s|\b(?:and|but|while|whereas|although|because|where|which|who)\b")


@dataclass
class Clause:
    """What one clause says: its numbers, its names, and the senses of its other words with their sign (not far = near)."""

    names: set[str] = field(default_factory=set)
    numbers: list[str] = field(default_factory=list)
    senses: dict[str, bool] = field(default_factory=dict)
    text: str = ""
    leads: bool = False  # begins with a name
    borrowed: bool = False  # the names are those of a clause before
    turns: int = 0  # negations, and words that stand for their opposite

    @property
    def marks(self) -> set[str]:
        return self.names | set(self.numbers) | set(self.senses)


def number_in(word: str) -> str | None:
    """The number that `word` writes, in digits: "1,342", "twelve" and "forty-two" are numbers, "one" is not."""
    if re.fullmatch(_DIGITS, word):
        return word.replace(",", "").lstrip("+")
    tens, _, units = word.lower().partition("-")
    if tens in _TENS and (not units or units == "one" or units in _NUMBER_WORDS):
        return str(_TENS[tens] + (1 if units == "one" else _NUMBER_WORDS.get(units, 0)))
    return str(_NUMBER_WORDS[word.lower()]) if word.lower() in _NUMBER_WORDS else None


def kinds() -> list[set[str]]:
    """The senses that exclude each other, kind by kind."""
    return [{sense_of(word)[0] for word in line.split()} for line in _ALIKE.strip().split("\n")]


def sense_of(word: str) -> tuple[str, bool]:
    """What a word stands for, and False if it stands for the opposite: "distant" is ("near", False)."""
    short = stem(word)
    if short in _SENSE_OF:
        return _SENSE_OF[short]
    if re.match(r"un(?!der|til|i|cl)\w{4}", word):
        return stem(word[2:]), False
    return short, True


def stem(word: str) -> str:
    """`word` without a common English ending."""
    word = _IRREGULAR.get(word, word)
    if word in _SENSE_OF:
        return word
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""), ("ly", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            short = word.removesuffix(ending) + instead
            return next((form for form in (short, short + "e") if form in _SENSE_OF), short.rstrip("e"))
    return word.rstrip("e") if len(word) > 3 else word


def names_in(text: str, surely: bool = False) -> set[str]:
    """Capitalised words inside a sentence, or before another; unless `surely`, openers too that are no common word."""
    found, openers = set(), set()
    for sentence in sentences(text):
        words = list(_WORD.finditer(sentence))
        for place, match in enumerate(words):
            word = bare(match.group())
            if not word[:1].isupper() or word.lower() in _FUNCTION or word.lower() in _NEGATIONS or word == "I":
                continue
            opens = place == 0 or sentence[: match.start()].rstrip()[-1:] in ":“\"'(*-#"
            if not opens:
                found.add(word)
            else:
                openers.add(word)
                following = words[place + 1].group() if place + 1 < len(words) else ""
                if following[:1].isupper() and following.lower() not in _FUNCTION:
                    found.add(word)
    small = set(re.findall(r"\b[^\W\d_A-Z][^\W\d_]*", text))  # what stands in lower case elsewhere is no name
    return found if surely else found | {w for w in openers if _looks_like_a_name(w) and w.lower() not in small}


def full_names(text: str, names: set[str]) -> set[tuple[str, str]]:
    """Two of `names` in a row, as in "Boris Corgate"."""
    return {pair for pair in re.findall(r"\b(\w+) (?=(\w+))", text) if set(pair) <= names}


def bare(word: str) -> str:
    """`word` without a possessive."""
    return re.sub(r"['’]s$|['’]$", "", word)


def _looks_like_a_name(word: str) -> bool:
    lower = word.lower()
    common = lower in _FRAME or stem(lower) in _SENSE_OF or number_in(lower) is not None
    return not common and not lower.endswith(("ed", "ing", "ly", "one", "body", "ful", "ion", "ment", "ness"))


def clauses(text: str, names: set[str]) -> list[Clause]:
    """The clauses of `text`; a clause without a name of its own speaks of those that a clause last began with."""
    found: list[Clause] = []
    subject: set[str] = set()
    for sentence in sentences(text):
        harmless = [match.span() for match in _NO_NEGATION.finditer(sentence)]
        start = 0
        for end in [*(m.start() for m in _SPLIT.finditer(sentence)), len(sentence)]:
            clause = _clause(sentence[start:end], names, start, harmless)
            start = end
            if not clause.marks:
                continue
            found.append(clause)
            if clause.leads or not subject:
                subject = set(clause.names)
            clause.borrowed = not clause.names
            clause.names = clause.names or set(subject)
    return found


def _clause(text: str, names: set[str], offset: int, harmless: list[tuple[int, int]]) -> Clause:
    clause, positive = Clause(text=text.strip()), True
    for match in _WORD.finditer(text):
        word = bare(match.group())
        lower = word.lower()
        number = number_in(word)
        if number is not None:
            clause.numbers.append(number)
        elif word in names:
            clause.leads |= not (clause.names or clause.senses or clause.numbers)
            clause.names.add(word)
        elif lower in _COPULAS and clause.senses:  # what was denied lies before it, as in "never far away is the sea"
            positive = True
        elif lower in _NEGATIONS or lower.endswith(("n't", "n’t")):
            inside = any(low <= offset + match.start() < high for low, high in harmless)
            if not inside:
                positive = not positive
                clause.turns += 1
        elif (lower not in _FUNCTION or lower in _SENSE_OF) and lower not in _FRAME and len(lower) > 1:
            sense, sign = sense_of(lower)
            clause.senses[sense] = sign == positive
            clause.turns += not sign
    return clause
