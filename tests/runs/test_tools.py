"""The run that places the tools: its row holds what the package still makes, and says how it was made."""

import json

import numpy as np
import pytest

from kimi_mini.dev import ROOT
from kimi_mini.tools import WORLDS
from kimi_mini.tools.evolve import PER_DOMAIN, evolve
from kimi_mini.tools.map import same_neighbour
from runs import tools

ROW = json.loads((ROOT / tools.FOLDER / "map.json").read_text(encoding="utf-8"))


def test_the_row_has_the_worlds_tools_and_a_hundred_evolved():
    served = [(row["domain"], row["name"]) for row in ROW["tools"] if row["source"] == "served"]
    assert served == [(name, tool.name) for name, world in WORLDS.items() for tool in world.tools]
    assert ROW["counts"]["unique"] == len(ROW["tools"]) - len(served) >= 100
    assert ROW["counts"]["made"] == PER_DOMAIN * ROW["counts"]["domains"] and ROW["made_by"] == "python -m runs.tools"


@pytest.mark.parametrize("label", ["domain", "category"])
def test_its_neighbours_are_those_of_its_places(label):
    """Two decimals: places are rounded, so a neighbour may change."""
    place_N2 = np.array([[row["x"], row["y"]] for row in ROW["tools"]])
    labels = [row[label] for row in ROW["tools"]]
    near = ROW["nearest"][label]
    assert same_neighbour(place_N2, labels) == pytest.approx(near["map"], abs=0.01)
    assert tools._chance(labels) == pytest.approx(near["chance"], abs=1e-4) and near["map"] > 5 * near["chance"]
    assert np.abs(place_N2).max() == 1


@pytest.mark.slow
def test_the_row_is_what_the_package_evolves():
    evolved, counts = evolve(ROW["seed"])
    assert json.loads(json.dumps(counts._asdict())) == ROW["counts"]
    kept = [(row["domain"], row["name"], row["description"]) for row in ROW["tools"] if row["source"] == "evolved"]
    assert kept == [(one.recipe.domain, one.tool.name, one.tool.description) for one in evolved]
