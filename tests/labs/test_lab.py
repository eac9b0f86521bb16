"""What a student's `lab` says and keeps."""

import time

import pytest
import torch

from kimi_mini.labs import Lab, baked
from kimi_mini.labs import lab as lab_module
from labs.course.bake import bake
from labs.course.exercise import define
from tests.labs.tiny import SCALE, TINY

TWISTS = {"scale_rows": SCALE.twists[0]}
DATA = bake(TINY, TWISTS)


@pytest.fixture
def lab(tmp_path):
    return Lab(DATA, tmp_path)


def _function(source, name="scale_rows"):
    return define(source)[name]


def test_a_right_answer_passes_and_says_so(lab, capsys):
    assert not lab.passed("scale_rows")
    assert lab.check("scale_rows", lambda x, factor: x * factor) is True
    assert capsys.readouterr().out == "scale_rows: 3 of 3 cases pass.\n"
    assert lab.passed("scale_rows")


def test_a_stub_is_not_yet(lab, capsys):
    assert lab.check("my_scale_rows", _function(SCALE.twists[0].stub, "my_scale_rows")) is False
    assert capsys.readouterr().out == "my_scale_rows: not yet (nothing is written there).\n"


def test_a_known_mistake_is_recognised(lab, capsys):
    assert not lab.check("scale_rows", lambda x, factor: x / factor)
    said = capsys.readouterr().out
    assert said.startswith(
        'scale_rows: 1 of 3 cases pass. "four rows": the result: 12 of 12 numbers are off; [0, 0] should be '
    )
    assert said.endswith("It looks like this: That divides by the factor.\n")


def test_an_unknown_mistake_gets_no_hint(lab, capsys):
    lab.check("scale_rows", lambda x, factor: x + factor)
    assert "looks like" not in capsys.readouterr().out


def test_the_practice_version_is_recognised_under_a_twist(lab, capsys):
    lab.check("my_scale_rows", lambda x, factor: x * factor)
    assert "Yours differs: Return the sum of each row, scaled." in capsys.readouterr().out


def test_an_answer_that_gets_worse_no_longer_passes(lab):
    lab.check("scale_rows", lambda x, factor: x * factor)
    lab.check("scale_rows", lambda x, factor: x)
    assert not lab.passed("scale_rows")


def test_a_function_that_ruins_its_arguments_fails_alone(lab, capsys):
    before = torch.get_rng_state()

    def ruin(x, factor):
        result = x * factor
        x.zero_()
        torch.set_default_dtype(torch.float64)
        torch.randn(3)
        print("noise")
        return result

    assert lab.check("scale_rows", ruin)
    assert capsys.readouterr().out == "scale_rows: 3 of 3 cases pass.\n"
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(before, torch.get_rng_state())


def test_a_function_that_hangs_is_stopped_once(lab, capsys, monkeypatch):
    monkeypatch.setattr(lab_module, "SECONDS_PER_CASE", 0.2)

    def hang(x, factor):
        while True:
            time.sleep(0.01)

    started = time.monotonic()
    assert not lab.check("scale_rows", hang)
    assert time.monotonic() - started < 0.5, "the cases after it are not tried"
    assert "it stopped with TimeoutError: it ran for more than 0.2 s, at: time.sleep(0.01)" in capsys.readouterr().out
    assert lab.check("scale_rows", lambda x, factor: x * factor)


@pytest.mark.parametrize("error", [ZeroDivisionError("no"), SystemExit(3)])
def test_a_function_that_stops_is_told_where(lab, capsys, error):
    def stop(x, factor):
        raise error

    assert not lab.check("scale_rows", stop)
    assert f"it stopped with {type(error).__name__}: {error}, at: raise error." in capsys.readouterr().out


def test_an_unknown_name_is_refused(lab):
    with pytest.raises(ValueError, match="expected one of scale_rows, my_scale_rows"):
        lab.check("scale_row", lambda: None)


def test_the_baked_text_holds_no_line_of_a_solution():
    text = repr(baked.unpack(DATA))
    for variant in (SCALE.practice, *SCALE.twists):
        assert variant.solution.splitlines()[-1].strip() not in text
    assert baked.pack(baked.unpack(DATA)) == DATA


def test_a_guess_is_locked_once_and_survives(lab, tmp_path, capsys):
    lab.guess("share", None, None, low=0, high=100)
    assert "share: not yet." in capsys.readouterr().out and not lab.passed("share")
    lab.guess("share", 30, 70, low=0, high=100)
    again = Lab(DATA, tmp_path)
    assert again.passed("share") and again.answers == {"share": {"value": 30, "confidence": 70}}
    capsys.readouterr()
    again.guess("share", 31, 70, low=0, high=100)
    assert capsys.readouterr().out == "share: locked, 30, 70 % sure. A guess is made once, so 31 was not taken.\n"
    assert again.answers["share"]["value"] == 30
    assert [path.name for path in tmp_path.iterdir()] == ["answers-tiny.json"]


@pytest.mark.parametrize(
    ("value", "confidence"), [(101, 50), (-1, 50), ("30", 50), (float("nan"), 50), (30, 0), (30, 101), (30, True)]
)
def test_a_guess_that_makes_no_sense_is_not_locked(lab, capsys, value, confidence):
    lab.guess("share", value, confidence, low=0, high=100)
    assert "share: not locked: " in capsys.readouterr().out
    assert lab.answers == {}


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "[" * 9000, '{"lab": "other", "guesses": {}}', '{"lab": "tiny", "guesses": {"share": 3}}', " " * 70_000,
     '{"lab": "tiny", "guesses": {"share": {"value": NaN, "confidence": 50}}}'],
)  # fmt: skip
def test_a_file_that_no_lab_wrote_is_refused_and_kept(lab, tmp_path, capsys, content):
    path = tmp_path / "answers-tiny.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="answers-tiny.json"):
        _ = lab.answers
    lab.guess("share", 30, 70, low=0, high=100)
    assert "share: not locked: " in capsys.readouterr().out
    assert path.read_text() == content


def test_export_says_where(lab, tmp_path, capsys):
    lab.export()
    lab.guess("share", 30, 70, low=0, high=100)
    lab.export()
    said = capsys.readouterr().out
    assert "0 of 1 guesses are locked" in said and f"1 of 1 guesses are locked, in {tmp_path / 'answers-tiny.json'}" in said
