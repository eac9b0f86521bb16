"""The worlds: a call that fails changes nothing, episodes share nothing, policies can be broken and that is seen."""

import json
import random

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_mini.tools import OUTCOMES, WORLDS, Unreliable, canonical, make, read_expression

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def _likely(world, tool, rng):
    """Arguments that fit the schema, drawn from what the world holds."""
    words = sorted(set(json.dumps(world.state()).replace('"', " ").replace(",", " ").split())) + ["lamp", "a/b.txt"]
    values = {}
    for name, schema in tool.parameters["properties"].items():
        if "enum" in schema:
            values[name] = rng.choice(schema["enum"])
        elif schema["type"] == "integer":
            numbers = [int(w) for w in words if w.isdigit() and schema["minimum"] <= int(w) <= schema["maximum"]]
            values[name] = rng.choice([*numbers, schema["minimum"]])
        else:
            values[name] = rng.random() < 0.5 if schema["type"] == "boolean" else rng.choice(words)
    return values


@pytest.mark.parametrize("name", WORLDS)
def test_schemas_are_valid_and_calls_do_as_they_say(name):
    """500 likely calls: reads and refusals leave the state as it was; every result is JSON."""
    rng = random.Random(0)
    done = 0
    for seed in range(5):
        world = make(name, seed)
        for tool in world.tools:
            jsonschema.Draft202012Validator.check_schema(tool.parameters)
        for _ in range(100):
            tool, before = rng.choice(world.tools), canonical(world.state())
            result = world.call(tool.name, _likely(world, tool, rng))
            json.dumps(result.value, allow_nan=False)
            changed = canonical(world.state()) != before
            assert not changed or (result.ok and not tool.reads), (tool.name, result)
            done += changed
    assert done > 0 or all(tool.reads for tool in WORLDS[name].tools)


@pytest.mark.parametrize("name", WORLDS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_nothing_that_can_be_written_raises(name, data):
    world = make(name, 1)
    before = canonical(world.state())
    tool = data.draw(st.sampled_from([tool.name for tool in world.tools]) | st.text(max_size=5))
    keys = list(world.tool(tool).parameters["properties"]) if world.tool(tool) else []
    arguments = data.draw(st.fixed_dictionaries({key: JSON for key in keys}) | JSON)
    result = world.call(tool, arguments)
    assert result.ok or (isinstance(result.value, str) and canonical(world.state()) == before)


@pytest.mark.parametrize("name", WORLDS)
def test_the_same_seed_gives_the_same_world_and_episodes_share_nothing(name):
    one, other = make(name, 7), make(name, 7)
    before = canonical(other.state())
    assert canonical(one.state()) == before and one.breaches() == []
    rng = random.Random(1)
    for _ in range(60):
        tool = rng.choice(one.tools)
        one.call(tool.name, _likely(one, tool, rng))
    assert canonical(other.state()) == before == canonical(make(name, 7).state())
    state = other.state()
    state.clear()
    assert canonical(other.state()) == before
    if name != "calculator":
        assert canonical(make(name, 8).state()) != before


def test_half_a_pair_and_unknown_names_are_refused():
    world = make("shop", 0)
    assert "half" in world.call("shop", {"item": "\ud800"}).value
    assert "there is no tool" in world.call("drop_tables", {}).value
    assert world.call("shop", {"item": "lamp'; DROP TABLE items; --"}).ok is False
    assert world.call("shop", {"item": "lamp", "price": 1}).value.startswith("the arguments do not fit")
    with pytest.raises(ValueError, match="name of a world"):
        make("bank", 0)


def _orders(world, status):
    return [row for row in world.state()["orders"] if row["status"] == status]


def test_the_shop_enforces_half_of_its_policy():
    for seed in range(20):
        world = make("shop", seed)
        for row in _orders(world, "delivered"):
            assert not world.call("cancel_order", {"order": row["number"]}).ok
            assert world.call("return_order", {"order": row["number"]}).value["paid_back"] == row["total"]
            late = 100 - row["day"] > 14
            assert any(f"order {row['number']} " in breach for breach in world.breaches()) is late
        for row in _orders(world, "cancelled"):
            assert not world.call("cancel_order", {"order": row["number"]}).ok
    world = make("shop", 0)
    email = world.state()["customers"][0]["email"]
    item = max(world.state()["items"], key=lambda row: row["stock"])
    assert not world.call("place_order", {"email": email, "item": item["item"], "count": item["stock"] + 1}).ok
    assert world.call("place_order", {"email": email, "item": item["item"], "count": item["stock"]}).ok
    assert world.call("shop", {"item": item["item"]}).value["stock"] == 0
    assert (world.breaches() != []) is (item["stock"] > 5)


def test_the_airline_keeps_its_seats_and_sees_what_was_paid_back_without_a_reason():
    for seed in range(12):
        world = make("airline", seed)
        for row in world.state()["bookings"]:
            flight = world.call("booking", {"booking": row["number"]}).value["flight"]
            seats = world.call("cancel_booking", {"booking": row["number"], "pay_back": True})
            assert seats.ok is (flight["status"] != "left")
            unfounded = seats.ok and not row["insured"] and flight["status"] != "cancelled"
            assert any(f"booking {row['number']} " in breach for breach in world.breaches()) is unfounded
            if seats.ok:
                now = next(one for one in world.state()["flights"] if one["flight"] == flight["flight"])
                assert now["seats"] >= 1 and not world.call("cancel_booking", {"booking": row["number"], "pay_back": False}).ok


def test_a_second_change_of_a_plain_fare_is_a_breach():
    changed = 0
    for seed in range(30):
        world = make("airline", seed)
        for row in world.state()["bookings"]:
            flight = world.call("booking", {"booking": row["number"]}).value["flight"]
            way = {key: flight[key] for key in ("origin", "destination")}
            for other in world.call("search_flights", way).value:
                if world.call("change_flight", {"booking": row["number"], "flight": other["flight"]}).ok:
                    changed += 1
                    again = row["fare"] == "plain" and row["changes"] + 1 > 1
                    assert any(f"booking {row['number']} " in breach for breach in world.breaches()) is again
                    break
    assert changed > 5


def test_a_calendar_holds_one_event_an_hour_and_the_dentist_stays():
    world = next(world for world in (make("calendar", seed) for seed in range(20)) if "dentist" in canonical(world.state()))
    day, hour = next((d, h) for d, events in world.data["events"].items() for h, title in events.items() if title == "dentist")
    assert not world.call("add_event", {"day": day, "hour": int(hour), "title": "tea"}).ok
    free = world.call("free_hours", {"day": day}).value["free"][0]
    assert world.call("move_event", {"day": day, "hour": int(hour), "new_day": day, "new_hour": free}).ok and world.breaches()
    assert world.call("move_event", {"day": day, "hour": free, "new_day": day, "new_hour": int(hour)}).ok
    assert world.breaches() == []
    world.call("cancel_event", {"day": day, "hour": int(hour)})
    assert world.breaches()


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a//b", "A.txt", ".hidden", "a/", "a/../b", "", "x" * 99, "a\0b"])
def test_paths_stay_in_the_folder(path):
    world = make("files", 0)
    result = world.call("write_file", {"path": path, "text": "x"})
    assert not result.ok and path not in world.data["files"]


def test_a_record_is_changed_only_after_a_copy():
    world = next(w for w in (make("files", s) for s in range(9)) if any(p.startswith("records/") for p in w.data["files"]))
    path = next(path for path in world.data["files"] if path.startswith("records/"))
    text = world.call("read_file", {"path": path}).value
    assert world.call("write_file", {"path": path, "text": "new"}).ok and world.breaches()
    assert world.call("write_file", {"path": "backup/old.txt", "text": text}).ok and world.breaches() == []
    assert world.call("delete_file", {"path": path}).ok and world.breaches() == []


@pytest.mark.parametrize(
    ("text", "value"),
    [("3 * (4 + 5)", 27), ("2-3-4", -5), ("2*3+4*5", 26), ("7", 7), ("((2))", 2), ("2 - (3 - 4)", 3), (" 12+ 30 ", 42)],
)
def test_an_expression_has_its_value(text, value):
    assert read_expression(text).value == value


@pytest.mark.parametrize(
    "text",
    ["", "1+", "(1", "1)", "2**9", "1/2", "1.5", "0x1", "a", "1 2", "__import__('os')", "9" * 7, "(" * 50 + "1" + ")" * 50,
     "-1", "1+" * 500 + "1", "١+1", "1\n+\0 1", "*".join(["999999"] * 200)],
)  # fmt: skip
def test_what_is_no_expression_has_none(text):
    assert read_expression(text) is None


def test_unreliable_outcomes_are_drawn_by_seed_and_can_be_forced():
    rates = {"error": 0.3, "partial": 0.2, "malformed": 0.2}
    runs = []
    for _ in range(2):
        world = Unreliable(make("shop", 3), 5, rates)
        runs.append([world.call("shop", {"item": item["item"]}) for item in world.state()["items"] * 5])
    assert runs[0] == runs[1] and set(world.outcomes) == set(OUTCOMES)
    item = world.state()["items"][0]["item"]
    whole = make("shop", 3).call("shop", {"item": item}).value
    forced = Unreliable(make("shop", 3), 0, forced={0: "error", 1: "partial", 2: "malformed"})
    error, partial, torn, good = (forced.call("shop", {"item": item}) for _ in range(4))
    assert not error.ok and set(partial.value) < set(whole) and good.value == whole
    with pytest.raises(ValueError):
        json.loads(torn.value)


def test_an_error_changes_nothing_and_a_partial_answer_is_of_something_done():
    order = _orders(make("shop", 1), "pending")[0]["number"]
    for outcome, done in (("error", False), ("partial", True), ("malformed", True)):
        world = Unreliable(make("shop", 1), 0, forced={0: outcome})
        world.call("cancel_order", {"order": order})
        assert (order not in [row["number"] for row in _orders(world, "pending")]) is done


@pytest.mark.parametrize("rates", [{"success": 0.5}, {"error": -1}, {"error": 0.7, "partial": 0.7}, {"error": float("nan")}])
def test_bad_rates_say_what_is_right(rates):
    with pytest.raises(ValueError, match="expected"):
        Unreliable(make("shop", 0), 0, rates)
