"""Evolved tools: all of them act as their schema says, broken ones and twins are found, a stored recipe runs again."""

import json
from collections import Counter

import jsonschema
import pytest

from kimi_mini.corpus.draw import Draw
from kimi_mini.tools import Refused, canonical
from kimi_mini.tools.domains import CATEGORIES, DAYS, DOMAINS, RECORDS
from kimi_mini.tools.evolve import DomainWorld, Recipe, build, evolve, from_row, load, propose, save, worded
from kimi_mini.tools.operations import OPERATIONS
from kimi_mini.tools.records import MOST_OWNED
from kimi_mini.tools.trials import right_arguments, try_out, wrong_arguments
from kimi_mini.tools.world import Tool, World, takes, whole


@pytest.fixture(scope="module")
def evolved():
    return evolve(0)


def world_of(*recipes, seed=0):
    return DomainWorld(recipes[0].domain, [build(recipe) for recipe in recipes], seed)


# ---- the collection ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_there_are_a_hundred_tools_of_every_kind_and_the_counts_add_up(evolved):
    tools, counts = evolved
    assert len(tools) == counts.unique >= 100 and counts.domains == len(DOMAINS) >= 12
    assert counts.made == counts.valid + sum(counts.faults.values())
    assert counts.valid == counts.unique + counts.same_behaviour + counts.same_text
    assert min(sum(counts.faults.values()), counts.same_behaviour, counts.same_text) > 0  # each check threw something out
    assert {one.recipe.operation for one in tools} == set(OPERATIONS)
    assert {DOMAINS[one.recipe.domain].category for one in tools} == set(CATEGORIES)
    assert len({(one.recipe.domain, one.tool.name) for one in tools}) == len(tools)
    assert str(counts).count("\n") == 4 + len(counts.faults) - 1


@pytest.mark.slow
def test_each_tool_acts_in_worlds_that_no_trial_saw(evolved):
    for one in evolved[0]:
        jsonschema.Draft202012Validator.check_schema(one.tool.parameters)
        for seed in (100, 101):
            world, draw = DomainWorld(one.recipe.domain, [one], seed), Draw("fresh", one.tool.name, seed)
            for _ in range(4):
                before, arguments = canonical(world.state()), right_arguments(one.tool, world, draw)
                result = world.call(one.tool.name, arguments)
                changed = canonical(world.state()) != before
                json.dumps(result.value, allow_nan=False)
                assert not changed or (result.ok and not one.tool.reads)
            before = canonical(world.state())
            for wrong in wrong_arguments(one.tool, arguments):
                assert not world.call(one.tool.name, wrong).ok
            assert canonical(world.state()) == before


@pytest.mark.slow
def test_examples_are_what_happened(evolved):
    shown = Counter(example["ok"] for one in evolved[0] for example in one.examples)
    assert shown[True] == len(evolved[0]) and shown[False] > 20


@pytest.mark.slow
def test_a_stored_collection_acts_again(evolved, tmp_path):
    path = tmp_path / "tools.jsonl"
    save(evolved[0], path)
    again = load(path)
    assert [json.dumps(one.row) for one in again] == [json.dumps(one.row) for one in evolved[0]]
    one, other = (DomainWorld("parcels", tools, 3) for tools in (evolved[0], again))
    assert one.tools == other.tools
    for tool in one.tools:
        arguments = right_arguments(tool, one, Draw("again", tool.name))
        assert one.call(tool.name, arguments) == other.call(tool.name, arguments)
    path.write_text(path.read_text(encoding="utf-8") + '{"recipe": {}}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=f"line {len(again) + 1}: no evolved tool"):
        load(path)


def test_the_same_seed_proposes_the_same_and_another_something_else():
    domain = DOMAINS["rooms"]
    assert list(propose(domain, 9, 0)) == list(propose(domain, 9, 0)) != list(propose(domain, 9, 1))


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_is_whole(name):
    domain = DOMAINS[name]
    record = domain.draw(0)["records"]["1"]
    assert len(record) == 6 + len(domain.amounts)  # no field has the name of another
    assert len(set(domain.titles)) == 12 and len(domain.draw(1)["records"]) == RECORDS
    assert all(amount.low <= record[amount.name] <= amount.high for amount in domain.amounts)
    assert all(before in domain.statuses and after in domain.statuses for _, before, after in domain.life)


# ---- simulators, by hand -----------------------------------------------------------------------------------------------


def test_a_transfer_keeps_the_sum_or_does_nothing():
    world = world_of(Recipe("accounts", "transfer", "balance"))
    (tool,) = world.tools
    records = world.data["records"]
    records["1"]["balance"], records["2"]["balance"] = 30, 490
    assert world.call(tool.name, {"first": 1, "second": 2, "by": 10}).value == {"first": 20, "second": 500}
    refused = world.call(tool.name, {"first": 1, "second": 2, "by": 1})  # the second would hold more than it may
    assert not refused.ok and "would be 501" in refused.value
    assert [world.data["records"][number]["balance"] for number in "12"] == [20, 500]
    assert not world.call(tool.name, {"first": 1, "second": 1, "by": 1}).ok


def test_a_batch_is_done_for_all_or_for_none():
    world = world_of(Recipe("parcels", "step", "send", batch=True))
    (tool,) = world.tools
    for number, status in (("1", "waiting"), ("2", "waiting"), ("3", "delivered")):
        world.data["records"][number]["status"] = status
    assert not world.call(tool.name, {"ids": [1, 3]}).ok and world.data["records"]["1"]["status"] == "waiting"
    assert world.call(tool.name, {"ids": [1, 2]}).ok
    assert [world.data["records"][number]["status"] for number in "12"] == ["on_the_way"] * 2


def test_a_narrowed_tool_sees_only_its_records():
    world = world_of(
        Recipe("lights", "total", "brightness", only=("floor", "first")), Recipe("lights", "get", "", only=("floor", "first"))
    )
    inside = [record for record in world.data["records"].values() if record["floor"] == "first"]
    outside = next(record for record in world.data["records"].values() if record["floor"] != "first")
    total, get = (tool.name for tool in world.tools)
    assert world.call(total, {}).value == {"brightness": sum(r["brightness"] for r in inside), "of": len(inside)}
    assert world.call(get, {"id": inside[0]["id"]}).value == inside[0]
    assert "is not of floor first" in world.call(get, {"id": outside["id"]}).value


def test_days_and_owners_have_room_for_so_many():
    world = world_of(Recipe("rooms", "schedule", "day"), Recipe("rooms", "assign", "porter"))
    plan, assign = (tool.name for tool in world.tools)
    for record in world.data["records"].values():
        record["day"] = None
    assert world.call(plan, {"id": 1, "day": DAYS}).ok
    assert "is taken" in world.call(plan, {"id": 2, "day": DAYS}).value
    for record in world.data["records"].values():
        record["porter"] = None
    done = [world.call(assign, {"id": number, "value": "ada"}).ok for number in range(1, MOST_OWNED + 2)]
    assert done == [True] * MOST_OWNED + [False]


def test_what_is_merged_or_removed_is_gone_and_numbers_are_not_used_again():
    world = world_of(*(Recipe("plots", *rest) for rest in (("merge", "rows"), ("remove", ""), ("create", ""))))
    merge, remove, create = (tool.name for tool in world.tools)
    world.data["records"]["1"]["rows"], world.data["records"]["2"]["rows"] = 5, 6
    assert world.call(merge, {"first": 1, "second": 2}).value["rows"] == 11 and "2" not in world.data["records"]
    world.data["records"]["3"]["status"], world.data["records"]["4"]["status"] = "resting", "empty"
    assert world.call(remove, {"id": 3}).ok and not world.call(remove, {"id": 4}).ok
    new = {"title": "Sorrel", "soil": "loam", "water": 3, "rows": 2}
    assert world.call(create, new).value == {"id": RECORDS + 1}
    assert not world.call(create, new).ok and len(world.data["records"]) == RECORDS - 1


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        (Recipe("gardens", "get", ""), "recipe.domain = 'gardens'"),
        (Recipe("rooms", "explode", ""), "recipe.operation = 'explode'"),
        (Recipe("rooms", "total", "weight"), "recipe.field = 'weight'"),
    ],
)
def test_a_recipe_that_nobody_knows_is_refused(recipe, why):
    with pytest.raises(ValueError, match=why):
        build(recipe)


# ---- trials ------------------------------------------------------------------------------------------------------------


class Broken(World):
    """Ways to be wrong, by the seedless name of the tool."""

    name = "broken"
    schema = takes({"id": whole("its number", 1, 10**6)})

    def __init__(self, seed, tool):
        self.tools = (tool,)
        super().__init__(seed)

    def draw(self, seed):
        return {"records": {str(n): {"id": n, "title": "x", "seen": 0, "size": seed + n} for n in range(1, 5)}}

    def _do(self, name, arguments):
        number = str(arguments.get("id"))
        if name not in ("leaves", "believes") and number not in self.data["records"]:
            raise Refused("not there")
        record = self.data["records"].get(number, {"size": 0})
        if name == "peeks":
            record["seen"] += 1
        if name == "never":
            raise Refused("never")
        if name == "empty":
            return []
        if name == "nan":
            return float("nan")
        return 1 if name == "deaf" else record["size"]


@pytest.mark.parametrize(
    ("name", "reads", "fault"),
    [
        ("peeks", True, "a tool that reads changed the state"), ("never", True, "no right call succeeds"),
        ("idle", False, "a tool that acts changes nothing"), ("believes", True, "wrong arguments are accepted"),
        ("empty", True, "it never finds anything"), ("nan", True, "the answer is no JSON"),
        ("deaf", True, "it answers the same in every world"), ("good", True, ""),
    ],
)  # fmt: skip
def test_each_way_to_be_wrong_is_seen(name, reads, fault):
    tool = Tool(name, "", Broken.schema, reads)
    assert try_out(tool, lambda seed: Broken(seed, tool)).fault == fault


def test_a_schema_that_is_none_is_seen_before_anything_is_called():
    tool = Tool("bad", "", {"type": "objekt"})
    assert try_out(tool, lambda seed: pytest.fail("was called")).fault == "the schema is no JSON schema"


def test_twins_by_behaviour_differ_in_words_alone():
    def fingerprint(*recipe, **more):
        made = build(Recipe("parcels", *recipe, **more))
        return try_out(made.tool, lambda seed: DomainWorld("parcels", [made], seed)).fingerprint

    assert fingerprint("step", "send", wording=0) == fingerprint("step", "send", wording=1)
    assert fingerprint("step", "send") == fingerprint("step", "send", only=("status", "waiting"))  # it could not do more
    assert (
        len({fingerprint("step", "send"), fingerprint("step", "recall"), fingerprint("get", ""), fingerprint("remove", "")})
        == 4
    )


# ---- words by a model --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ('{"name": "ship_it", "description": "Send a parcel on its way."}', "ship_it"),
        ('{"name": "Ship it!", "description": "Send a parcel on its way."}', "send_parcel"),
        ('{"name": "ship_it", "description": 7}', "send_parcel"),
        ('["ship_it"]', "send_parcel"), ("Sure! Here is", "send_parcel"), ("null", "send_parcel"),
    ],
)  # fmt: skip
def test_a_model_may_choose_words_and_only_words(answer, name):
    made = build(Recipe("parcels", "step", "send"))
    got = worded(made, lambda prompt: answer, "someone")
    assert got.tool.name == name and got.tool.parameters == made.tool.parameters and got.recipe == made.recipe
    assert got.worded_by == ("someone" if name == "ship_it" else "templates")
    assert from_row(json.loads(json.dumps(got.row))) == got
    assert DomainWorld("parcels", [got], 0).call(got.tool.name, {"id": 999}).value == "there is no parcel 999"


def test_a_model_that_calls_all_tools_the_same_keeps_one_of_a_domain():
    same = '{"name": "do_it", "description": "Do what is to be done."}'
    tools, counts = evolve(0, per_domain=2, ask=lambda prompt: same, who="lazy")
    assert Counter(one.tool.name for one in tools) == {"do_it": len({one.recipe.domain for one in tools})}
    assert counts.same_text > 0
