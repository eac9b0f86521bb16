"""The benchmark at toy size: every row runs, contenders agree with the truth, records survive. No timing is asserted."""

import json

import pytest
import torch

from bench import __main__ as command
from bench import report
from bench.harness import Case, Timing, ceiling_contenders, ceilings_of, measure, median_ratio
from bench.registry import CPU_ROWS, ROWS, select
from bench.row import Row
from kimi_mini.kernels.work import Ceilings, Work


@pytest.fixture(autouse=True)
def keep_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("row", CPU_ROWS, ids=lambda row: row.id)
def test_every_row_runs_and_every_contender_is_right(row):
    record = command.run(row, rounds=2, threads=1, shape=row.toy)
    ours, *peers = record["contenders"].values()
    assert peers and set(row.goals) <= set(record["contenders"])
    assert max(ours["errors"].values()) <= record["tolerance"]
    for contender in record["contenders"].values():
        assert len(contender["wall_ms"]) == len(contender["cpu_ms"]) == 2
        if contender["errors"]:  # all but the forward pass of C5, which is there to compare the time with
            assert max(contender["errors"].values()) <= max(2 * record["tolerance"], 1e-6)
    json.dumps(record)
    assert report.table([record]).count("\n") == len(peers) + 2


def test_shapes_and_toys_name_the_same_things():
    for row in CPU_ROWS:
        assert set(row.shape) <= set(row.toy), row.id


def test_a_wrong_contender_is_seen(monkeypatch):
    from bench import moe

    row = next(row for row in ROWS if row.id == "C1.e32")
    right = moe.kernels.grouped_mlp
    wrong = lambda *args, impl="auto": right(*args, impl=impl) * (1.001 if impl == "auto" else 1)  # noqa: E731
    monkeypatch.setattr(moe.kernels, "grouped_mlp", wrong)
    record = command.run(row, rounds=1, threads=1, shape=row.toy)
    assert report.verdict(record, moe.OURS).startswith("NO (error")


def test_a_goal_that_is_missed_says_so():
    row = Row("X", "", lambda: None, {}, {}, goals={"peer": {1: 2.0}, "other": 1.0})
    timings = {"ours": Timing([1.0, 1.0], [1.0, 1.0]), "peer": Timing([1.9, 1.5], [1.9, 1.5]), "other": Timing([1.1], [1.1])}
    timings["other"] = Timing([1.1, 1.2], [1.1, 1.2])
    case, none = Case(dict.fromkeys(timings), dict), Ceilings(1.0, 1.0)
    record = report.make_record(row, 1, timings, {"ours": {"out": 0.0}}, case, None, none)
    assert report.verdict(record, "peer") == "NO (goal 2.00)"
    assert report.verdict(record, "other") == "yes (goal 1.00)"
    two = report.make_record(row, 2, timings, {"ours": {"out": 0.0}}, case, None, none)
    assert report.verdict(two, "peer") == ""


def test_a_limit_a_floor_and_the_worst_quantity_are_judged():
    row = Row("X", "", lambda: None, {}, {}, tolerance={"a": 1e-2, "b": 0.0}, floor=0.5, limit_ms=0.015, device="cuda")
    timings = {"ours": Timing([2.0, 2.0, 4.0], [1.0] * 3), "peer": Timing([1.0] * 3, [1.0] * 3)}
    case = Case(dict.fromkeys(timings), dict, missing={"other": "not installed"})
    errors = {"ours": {"a": 5e-3, "b": 1.0}}
    record = report.make_record(row, 1, timings, errors, case, Work(8e9, 1.0), Ceilings(1e13, 1e12)) | {"gpu": "none"}
    assert record["contenders"]["ours"]["median_ms"] == 2.0 and record["floor_ms"] == pytest.approx(0.8)
    assert record["contenders"]["ours"]["floor"] == pytest.approx(0.4) and record["contenders"]["peer"]["ratio"] == 0.5
    assert report.verdict(record, "ours") == "NO (b up to 0); NO (floor 50%); NO (up to 0.015 ms)"
    assert report.lines(record)[2] == ("X", "other", "", "", "", "", "not installed")


def test_ceilings_are_measured_in_the_same_rounds():
    contenders = ceiling_contenders(torch.device("cpu"))
    timings = {name: Timing([4.0, 2.0], [1.0, 1.0]) for name in contenders}
    assert ceilings_of(contenders, timings) == Ceilings(2.0 * 1024**3 / 2e-3, float("inf"))


def test_ratio_is_the_median_of_ratios_within_rounds():
    assert median_ratio([2.0, 30.0, 3.0], [1.0, 10.0, 3.0]) == 2.0


def test_rounds_rotate_who_goes_first():
    calls = []
    measure({name: lambda name=name: calls.append(name) for name in "abc"}, rounds=3)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab"


def test_rows_are_chosen_by_name_or_group():
    assert [row.id for row in select(["C2"])] == ["C2.256", "C2.1024"]
    assert [row.id for row in select(["C1.e32"])] == ["C1.e32"]
    assert select([]) == list(ROWS) and select(["cpu"]) == list(CPU_ROWS) and select(["cpu", "gpu"]) == list(ROWS)
    with pytest.raises(ValueError, match="row = 'C9' is unknown; expected cpu, gpu, C1, C2"):
        select(["C9"])


def test_interrupted_runs_keep_finished_rows_and_resume(tmp_path, monkeypatch):
    out = tmp_path / "cpu.json"
    rows = [row for row in ROWS if row.id.startswith("C2")]
    ran = []

    def toy_run(row, rounds, threads):
        ran.append(row.id)
        if len(ran) == 2:
            raise KeyboardInterrupt
        return real_run(row, rounds, threads, shape=row.toy)

    real_run = command.run
    monkeypatch.setattr(command, "run", toy_run)
    with pytest.raises(KeyboardInterrupt):
        command.main(["C2", "--rounds", "1", "--out", str(out)])
    assert list(json.loads(out.read_text())) == ["C2.256 1t"]
    assert command.main(["C2", "--rounds", "1", "--out", str(out), "--resume"]) == 0
    assert ran == ["C2.256", "C2.1024", "C2.1024"]
    readme = (tmp_path / "README.md").read_text()
    assert all(row.what in readme and f"| {row.id} 1t" in readme for row in rows)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_bad_requests_are_refused_before_any_work(tmp_path, capsys):
    assert command.main(["C7", "--out", str(tmp_path / "x.json")]) == 2
    assert "C7" in capsys.readouterr().err
    (tmp_path / "x.json").write_text("{")
    assert command.main(["C2", "--out", str(tmp_path / "x.json")]) == 2
    assert "damaged" in capsys.readouterr().err


def test_looped_model_is_the_same_model():
    from bench import tiny

    model = tiny.our_model(tiny.config(vocab=32, width=32, hidden=16, experts=8, k=2, layers=2, heads=2))
    tokens_BT = torch.randint(32, (2, 9))
    looped = tiny.with_expert_lists(model)
    assert any(isinstance(m, tiny.ExpertList) for m in looped.modules())
    torch.testing.assert_close(looped(tokens_BT).logits_BTV, model(tokens_BT).logits_BTV, atol=1e-6, rtol=0)
