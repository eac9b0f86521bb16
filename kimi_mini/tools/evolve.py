"""Tools by the hundred, each with a simulator: categories -> application domains -> tools, the order of K2's Figure 9b.

A recipe says which operation acts on which records; from it alone come schema, words and simulator, so a recipe can be stored
and run again. New recipes are drawn, or grow from older ones: narrowed to some of the records, or made to take several at once.
Each is then tried; what does not do as it says is thrown out, and so are twins. Names and descriptions come from templates, or
from a model where one is asked; what a tool does never comes from a model.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..checks import is_int, require
from ..corpus.draw import Draw
from ..whole import write_whole
from .domains import CATEGORIES, DOMAINS, Domain
from .map import features
from .operations import OPERATIONS, properties
from .records import Records
from .trials import try_out
from .world import Tool, World

PER_DOMAIN = 16  # recipes made in each domain
ALIKE = 0.8  # cosine of two tools' words from which on the later one of a domain is a twin
_NAME = re.compile(r"[a-z][a-z0-9_]{2,59}")
Wording = Callable[[str], str]  # a prompt -> an answer, which should be {"name": ..., "description": ...}


class Recipe(NamedTuple):
    """`operation` on `field` of the records of `domain` with `only` = (field, value); `batch` takes several ids."""

    domain: str
    operation: str
    field: str
    only: tuple[str, str] | None = None
    batch: bool = False
    wording: int = 0


class Evolved(NamedTuple):
    """A tool that was made: its recipe, what a model is told, who worded it, and examples as {arguments, ok, value}."""

    recipe: Recipe
    tool: Tool
    worded_by: str = "templates"
    examples: tuple[dict[str, Any], ...] = ()

    @property
    def row(self) -> dict[str, Any]:
        domain = DOMAINS[self.recipe.domain]
        return {
            "category": domain.category, "domain": domain.name, **self.tool.declared, "reads": self.tool.reads,
            "recipe": self.recipe._asdict(), "worded_by": self.worded_by, "examples": list(self.examples),
        }  # fmt: skip


class Counts(NamedTuple):
    """How many were made, and what became of them; `faults` counts the reasons why some were not valid."""

    categories: int
    domains: int
    made: int
    faults: dict[str, int]
    valid: int
    same_behaviour: int
    same_text: int
    unique: int

    def __str__(self) -> str:
        why = [f"{count:10} {fault}" for fault, count in sorted(self.faults.items(), key=lambda item: -item[1])]
        lines = [
            f"{self.categories} categories, {self.domains} domains", f"{self.made:6} made", f"{self.valid:6} valid; not:", *why,
            f"{self.unique:6} unique; {self.same_behaviour} did as an earlier one does, {self.same_text} read like one",
        ]  # fmt: skip
        return "\n".join(lines)


class DomainWorld(World):
    """The records of one domain and evolved tools on them."""

    def __init__(self, domain: str, tools: Iterable[Evolved], seed: int) -> None:
        require(domain in DOMAINS, "domain", domain, ", ".join(DOMAINS))
        self.domain = DOMAINS[domain]
        self.recipes = {one.tool.name: one.recipe for one in tools if one.recipe.domain == domain}
        self.name, self.tools = domain, tuple(one.tool for one in tools if one.recipe.domain == domain)  # type: ignore[misc]
        super().__init__(seed)

    def draw(self, seed: int) -> dict[str, Any]:
        return self.domain.draw(seed)

    def _do(self, name: str, arguments: dict[str, Any]) -> Any:
        recipe = self.recipes[name]
        records, run = Records(self.domain, self.data, recipe.only), OPERATIONS[recipe.operation].run
        if not recipe.batch:
            return run(records, recipe.field, **arguments)
        rest = {key: value for key, value in arguments.items() if key != "ids"}
        return [run(records, recipe.field, id=number, **rest) for number in arguments["ids"]]


# ---- from a recipe to a tool -------------------------------------------------------------------------------------------


def build(recipe: Recipe) -> Evolved:
    """The tool of a recipe, worded by templates. Raises ValueError for a recipe that no domain or operation has."""
    require(recipe.domain in DOMAINS, "recipe.domain", recipe.domain, ", ".join(DOMAINS))
    require(recipe.operation in OPERATIONS, "recipe.operation", recipe.operation, ", ".join(OPERATIONS))
    domain, operation = DOMAINS[recipe.domain], OPERATIONS[recipe.operation]
    require(recipe.field in operation.fields(domain), "recipe.field", recipe.field, ", ".join(operation.fields(domain)))
    after = {verb: after for verb, _, after in domain.life}.get(recipe.field, "")
    which = f"{recipe.only[1]}_" if recipe.only else ""
    noun = domain.name if recipe.batch else domain.noun
    words = {"noun": which + noun, "nouns": which + domain.name, "field": recipe.field, "after": after}
    name = operation.names[recipe.wording % len(operation.names)].format(**words)
    told = {**words, "noun": domain.noun, "nouns": domain.name}
    text = operation.texts[recipe.wording % len(operation.texts)].format(**told).replace("_", " ")
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    text += f" Only {domain.name} of {recipe.only[0]} {recipe.only[1]}.".replace("_", " ") if recipe.only else ""
    text += " Several at once, all or none." if recipe.batch else ""
    schema = properties(operation, domain, recipe.field, recipe.batch)
    return Evolved(recipe, Tool(name, text[0].upper() + text[1:], schema, operation.reads))


def from_row(row: Mapping[str, Any]) -> Evolved:
    """A stored row as a tool that acts again, in the words that it was given."""
    recipe = Recipe(**{**row["recipe"], "only": tuple(row["recipe"]["only"]) if row["recipe"]["only"] else None})
    built = build(recipe)
    tool = built.tool._replace(name=row["name"], description=row["description"])
    return Evolved(recipe, tool, row["worded_by"], tuple(row["examples"]))


def save(tools: Iterable[Evolved], path: Path) -> None:
    """A line of JSON for each tool; the file is there whole or not at all."""
    write_whole(path, "".join(json.dumps(one.row) + "\n" for one in tools).encode())


def load(path: Path) -> list[Evolved]:
    """The tools of a file that `save` wrote. Raises ValueError that names the line which will not do."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(from_row(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: no evolved tool ({type(error).__name__}: {error})") from None
    return found


# ---- proposing ---------------------------------------------------------------------------------------------------------


def propose(domain: Domain, count: int, seed: int) -> Iterator[Recipe]:
    """Recipes for a domain: every second one, by chance, is an earlier one that is narrowed or takes several."""
    draw, grown = Draw("evolve", seed, domain.name), []
    while len(grown) < count:
        recipe = _child(draw, draw.one(grown), domain) if grown and draw.chance(0.5) else _first(draw, domain)
        grown.append(recipe)
        yield recipe


def _first(draw: Draw, domain: Domain) -> Recipe:
    operation = draw.one(list(OPERATIONS))
    field = draw.one(list(OPERATIONS[operation].fields(domain)))
    return Recipe(domain.name, operation, field, wording=draw.number(0, 1))


def _child(draw: Draw, parent: Recipe, domain: Domain) -> Recipe:
    if OPERATIONS[parent.operation].one and draw.chance(0.5):
        return parent._replace(batch=True, wording=draw.number(0, 1))
    field = draw.one([name for name in ("status", domain.group) if name != parent.field])
    value = draw.one(domain.statuses if field == "status" else domain.groups)
    return parent._replace(only=(field, value), wording=draw.number(0, 1))


def worded(made: Evolved, ask: Wording, who: str) -> Evolved:
    """Name and description by a model; what it answers badly leaves the templates' words."""
    prompt = (
        "Give this tool a name in snake_case and a description of one sentence, true to what it does. Answer with JSON, "
        f'{{"name": ..., "description": ...}}, and nothing else.\n{json.dumps(made.tool.declared)}'
    )
    try:
        answer = json.loads(ask(prompt))
        name, text = answer["name"], answer["description"]
    except (ValueError, KeyError, TypeError):
        return made
    fits = isinstance(name, str) and _NAME.fullmatch(name) and isinstance(text, str) and 10 <= len(text) <= 300
    return made._replace(tool=made.tool._replace(name=name, description=text), worded_by=who) if fits else made


# ---- choosing ----------------------------------------------------------------------------------------------------------


def evolve(
    seed: int = 0, per_domain: int = PER_DOMAIN, ask: Wording | None = None, who: str = "a model"
) -> tuple[list[Evolved], Counts]:
    """Make `per_domain` tools in every domain, try each, and keep one of each kind; with `ask` a model words them."""
    require(is_int(per_domain, 1), "per_domain", per_domain, "an integer >= 1")
    made = [build(recipe) for domain in DOMAINS.values() for recipe in propose(domain, per_domain, seed)]
    faults: Counter[str] = Counter()
    valid = 0
    kept: dict[str, Evolved] = {}
    for one in made:
        trial = try_out(one.tool, partial(DomainWorld, one.recipe.domain, [one]))
        if trial.fault:
            faults[trial.fault] += 1
            continue
        valid += 1
        kept.setdefault(trial.fingerprint, one._replace(examples=trial.examples))
    distinct = [worded(one, ask, who) if ask else one for one in kept.values()]
    unique = _unlike(distinct)
    twins = (valid - len(distinct), len(distinct) - len(unique))
    return unique, Counts(len(CATEGORIES), len(DOMAINS), len(made), dict(faults), valid, *twins, len(unique))


def _unlike(tools: list[Evolved]) -> list[Evolved]:
    """Without those that have the name of an earlier one of their domain, or almost its words."""
    if not tools:
        return []
    found_ND = features([f"{one.tool.name} {one.tool.description}".replace("_", " ") for one in tools])
    alike_NN = found_ND @ found_ND.T >= ALIKE
    kept: list[int] = []
    for index, one in enumerate(tools):
        beside = [other for other in kept if tools[other].recipe.domain == one.recipe.domain]
        if not any(tools[other].tool.name == one.tool.name or alike_NN[other, index] for other in beside):
            kept.append(index)
    return [tools[index] for index in kept]
