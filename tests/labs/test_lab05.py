"""Lab 5: its table says what the specification says, and what it says of the museum is what comes out."""

import re

import pytest
import torch

from kimi_mini.labs import Program
from labs.course.bake import bake
from labs.course.find import load_notebook, load_spec
from labs.source.lab05 import programs

SPEC = load_spec("lab05")
CELLS = {cell.id: cell.source for cell in load_notebook("lab05").cells}


@pytest.fixture
def names(monkeypatch):
    """What the cells before the museum define, with the package's functions for a student's."""
    threads = torch.get_num_threads()
    known = {}
    for cell in ("setup", "imports", "diagnose-practice", "kills-max-before-mask-practice", "suite-practice"):
        exec(CELLS[cell], known)
    monkeypatch.setattr(type(known["lab"]), "answers", {"caught": {"value": 12, "confidence": 50}})
    known["lab"]._passed |= {each.name for each in SPEC.coding}
    yield known
    torch.set_num_threads(threads)


def test_the_packages_own_frame_is_healthy(names, capsys):
    exec(CELLS["diagnose-use"], names)
    assert "verdict: healthy" in capsys.readouterr().out


def test_a_suite_of_the_clip_catches_ten_of_fourteen_pieces(names, capsys):
    assert "fourteen pieces" in CELLS["caught-text"] and SPEC["caught"].high == 14
    exec(CELLS["museum-use"], names)
    said = capsys.readouterr().out
    assert "10 of 14 caught; your guess: 12" in said
    assert set(re.findall(r"^(\w+) .* accepted$", said, re.M)) == {"statistic"}


def test_a_test_of_the_statistic_sees_the_other_four(names, capsys):
    exec(CELLS["mask-use"], names)
    assert "accepted" not in capsys.readouterr().out


@pytest.mark.parametrize("seed", [0, 7, 1 << 40])
def test_no_name_of_a_program_says_what_it_is_and_none_stops_by_itself(seed):
    for exercise in SPEC.coding:
        for variant in (exercise.practice, *exercise.twists):
            for case in variant.cases(seed):
                assert re.fullmatch(r"(version|frame) \d+|fifteen versions", case.name)
                for arg in (arg[0] if isinstance(arg, list) else arg for arg in case.args):
                    if isinstance(arg, Program):
                        assert re.search(r"def [a-z]{4}\d+\(", arg.source)


def test_a_scrambled_program_does_the_same():
    source = programs.statistic("j <= i")
    batch = [tuple(torch.randn(2, 1, 5, 3, 4, dtype=torch.float64))]
    assert programs.scrambled(source, torch.Generator().manual_seed(3))(batch, 0.5).equal(Program(source)(batch, 0.5))


def test_the_baked_text_is_short():
    assert len(bake(SPEC, {each.name: each.twists[0] for each in SPEC.coding})) < 60_000
