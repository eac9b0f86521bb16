"""The rows for a GPU at toy size on a CPU: all of their path but the speed, so that a rare GPU meets no mistake of theirs."""

import json
import math
import re

import pytest
import torch

from bench import __main__ as command
from bench import harness, report
from bench.gpu import common
from bench.harness import Ceiling, Timing
from bench.registry import GPU_ROWS, ROWS, select
from bench.row import Row
from kimi_mini import kernels
from kimi_mini.kernels.work import H100, Work

CPU = torch.device("cpu")
DISTINCT = list({(row.build, *row.toy.items()): row for row in GPU_ROWS}.values())  # rows of one toy have one path
COARSE = {"torch.optim.Muon's iteration, one by one", "torch.optim.Muon"}  # in bf16 whatever they are given
ONLY_TRITON = ("G2", "G7.product")  # rows that ask for a kernel by name
BY_TORCH = ("G8", "G13", "G14", "G15")  # Muon iterates in bf16, which the interpreter gets wrong; a whole model takes long
LAST_BITS = 1e-5


def _run(row: Row) -> report.Record:
    return command.run(row, rounds=1, threads=1, shape=row.toy, device=CPU) | {"gpu": "none"}


def _excess(record: report.Record, errors: dict[str, float], least: float) -> float:
    """The largest error over its limit, each limit at least `least`."""
    tolerance = record["tolerance"]
    limits = tolerance if isinstance(tolerance, dict) else dict.fromkeys(errors, tolerance)
    return max(error / max(limits[name], least) for name, error in errors.items())


def _check(record: report.Record, least: float = LAST_BITS) -> None:
    for name, contender in record["contenders"].items():
        if contender["errors"]:
            assert _excess(record, contender["errors"], 0.5 if name in COARSE else least) <= 1, (name, contender["errors"])


@pytest.fixture(autouse=True)
def cheap_ceiling(monkeypatch):
    """No speed is looked at here."""
    monkeypatch.setattr(command, "ceiling_contenders", lambda device: {"GEMM": Ceiling(lambda: None, Work(1.0, 0))})


@pytest.mark.parametrize("row", DISTINCT, ids=lambda row: row.id)
def test_every_row_runs_with_our_kernels_in_the_interpreter(row, monkeypatch):
    # The check runs all contenders; what is timed runs in the test below, without the slow interpreter.
    monkeypatch.setattr(command, "measure", lambda runs, *_: {name: Timing([1.0], [1.0]) for name in runs})
    with kernels.using("torch" if row.id.startswith(BY_TORCH) else "triton"):
        record = _run(row)
    ours, *_ = record["contenders"].values()
    assert ours["errors"] and len(record["contenders"]) >= 2
    _check(record)
    json.dumps(record)
    failed = [why for why in record["missing"].values() if why.startswith("failed")]
    assert all("CPU" in why for why in failed), "a peer that fails here would fail on a GPU too"
    assert report.table([record]).count("\n") == len(record["contenders"]) + len(record["missing"]) + 1


@pytest.mark.parametrize("row", [row for row in DISTINCT if not row.id.startswith(ONLY_TRITON)], ids=lambda row: row.id)
def test_every_row_runs_in_bf16_with_the_torch_forms(row, monkeypatch):
    """Formats that do not go together would break a row on a GPU only."""
    monkeypatch.setitem(common.FORMATS, "cpu", torch.bfloat16)
    _check(_run(row), 2e-2)


def test_each_row_has_its_own_name_and_a_toy_of_the_same_words():
    assert len({row.id for row in ROWS}) == len(ROWS)
    for row in GPU_ROWS:
        assert set(row.shape) <= set(row.toy) | {"backward"}, row.id
        assert row.device == "cuda" and "{" not in row.what


def test_every_planned_row_is_there():
    groups = {row.id.partition(".")[0] for row in GPU_ROWS}
    assert groups == {"T1", *(f"G{i}" for i in range(1, 16))}


@pytest.mark.parametrize(
    ("name", "floor_ms"),
    [
        ("G1.s8k.h64", 1.74),
        ("G3.s8k.h16", 1.131),
        ("G4.b128.4k.h64", 0.207),
        ("G4.b32.64k.h64", 0.81),
        ("G5.e128.t32k.forward", 3.13),
        ("G5.e128.t32k.both", 3.13 + 6.26),
        ("G5.k2.slice.forward", 2.90),
        ("G7.ns.2048x2048.fp16", 8 * 0.217),
        ("G7.ns.2048x7168.fp16", 8 * 0.381),
        ("G7.ns.2048x7168.bf16", 8 * 0.625),
        ("G7.ns.768x2048.fp16", 64 * 0.0172),
        ("G9.norm.k2", 0.157),
        ("G9.norm.backward.k2", 0.235),
        ("G9.add.k2", 0.313),
        ("G10.forward.k2", 0.268),
        ("G10.backward.k2", 0.447),
        ("G11.moonlight", 20.9),
        ("G11.k2", 36.5),
        ("G12.quantize.k2", 0.237),
        ("G12.dequantize.k2", 0.237),
        ("G12.swiglu.k2", 0.225),
    ],
)
def test_floors_of_rows_are_those_of_the_plan(name, floor_ms):
    (row,) = select([name])
    assert row.work().floor_ms(H100) == pytest.approx(floor_ms, rel=0.01)


def test_work_of_every_row_can_be_had_without_a_gpu():
    for row in GPU_ROWS:
        work = row.work()
        assert work is None or (work.bytes > 0 and work.flops >= 0), row.id


# ---- the parts -------------------------------------------------------------------------------------------------------


def _case(ours, peer, exact=1.0):
    ways = {"ours": lambda: {"out": ours()}, "peer": lambda: {"out": peer()}}
    return common.make_case(ways, lambda: {"out": torch.full((4,), exact)})


def test_an_output_that_nobody_wrote_is_seen_even_where_memory_holds_an_old_answer():
    def partly():
        out = torch.empty(4)
        out[:3] = 1.0
        return out

    assert _case(partly, lambda: torch.ones(4)).check()["ours"]["out"] == math.inf


def test_a_peer_that_fails_is_named_and_ours_failing_is_not_hidden():
    def fail():
        raise RuntimeError("no kernel image\nmore")

    case = _case(lambda: torch.ones(4), fail)
    assert case.check() == {"ours": {"out": 0.0}}
    assert case.missing == {"peer": "failed: RuntimeError: no kernel image"} and list(case.contenders) == ["ours"]
    with pytest.raises(RuntimeError, match="no kernel image"):
        _case(fail, lambda: torch.ones(4)).check()


def test_optional_peers_are_there_or_say_that_they_are_not():
    def broken():
        raise ImportError("needs something else")

    peers = {"a": ("no_such_module", dict), "b": ("json", broken), "c": ("json", lambda: dict)}
    ways, missing = common.optional(peers)
    assert ways == {"c": dict} and missing == {"a": "not installed", "b": "failed: ImportError: needs something else"}


def test_a_backward_trial_differentiates_again_and_again():
    x = torch.tensor([3.0])
    trial = common.Trial([x], ("y",), ("dx",), (torch.ones(1),), "backward")
    way = trial.way(lambda x: x**2)
    assert way()["dx"] == way()["dx"] == 6
    assert trial.exactly(lambda x: x**3)()["dx"].dtype == torch.float64


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_rows_say_what_they_need(capsys, tmp_path):
    assert command.main(["G1", "--out", str(tmp_path / "x.json")]) == 2
    told = capsys.readouterr()
    assert "G1.s8k.h64: needs a CUDA GPU of compute capability 8.0 or more; not yet measured" in told.out
    assert "none of 5 rows can run here" in told.err
    assert list(tmp_path.iterdir()) == []


def _toy_session(monkeypatch, tmp_path):
    """As if there were a GPU: rows run at toy size on the CPU."""
    real = command.run
    monkeypatch.setattr(command, "_has", lambda device: True)
    monkeypatch.setattr(command, "_recovered", lambda: True)
    place = {"gpu": "Toy 1", "driver": "1", "cuda": "1", "triton": "3"}

    def toy(row, rounds, threads):
        return real(row, rounds, threads, row.toy, CPU) | (place if row.device == "cuda" else {})

    monkeypatch.setattr(command, "run", toy)
    return tmp_path / "toy.json"


def test_a_row_that_breaks_down_costs_only_itself_and_is_run_again(monkeypatch, tmp_path, capsys):
    out = _toy_session(monkeypatch, tmp_path)
    toy = command.run
    breaks = {"G10.forward.mini"}

    def run(row, rounds, threads):
        if row.id in breaks:
            raise RuntimeError("illegal memory access")
        return toy(row, rounds, threads)

    monkeypatch.setattr(command, "run", run)
    assert command.main(["G10.forward", "--rounds", "1", "--out", str(out)]) == 1
    assert "broke down: G10.forward.mini" in capsys.readouterr().err
    kept = json.loads(out.read_text())
    assert "G10.forward.k2" in kept and "G10.forward.mini" not in kept
    readme = (tmp_path / "README.md").read_text()
    assert "| G10.forward.mini " in readme and "not yet measured" in readme
    breaks.clear()
    assert command.main(["G10.forward", "--rounds", "1", "--resume", "--out", str(out)]) == 0
    assert json.loads(out.read_text())["G10.forward.k2"] == kept["G10.forward.k2"]


def test_a_session_stops_where_the_gpu_does_not_answer(monkeypatch, tmp_path, capsys):
    out = _toy_session(monkeypatch, tmp_path)
    monkeypatch.setattr(command, "_recovered", lambda: False)
    monkeypatch.setattr(command, "run", lambda *_: 1 / 0)
    assert command.main(["G10", "--out", str(out)]) == 1
    assert capsys.readouterr().err.count("broke down") == 2  # the first row, and the summary


def test_rows_of_both_devices_may_share_a_file(monkeypatch, tmp_path):
    out = _toy_session(monkeypatch, tmp_path)
    assert command.main(["C2.256", "G10.forward.mini", "--rounds", "1", "--out", str(out)]) == 0
    assert set(json.loads(out.read_text())) == {"C2.256 1t", "G10.forward.mini"}


def test_results_are_filed_under_the_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    assert re.fullmatch(r"nvidia-h100-80gb-hbm3-20\d\d-\d\d-\d\d\.json", command._file("cuda").name)
    assert command._file("cpu").name.startswith("cpu-20")


class _Event:
    """A clock's hand that moves by what ran since: one millisecond a call of the contender."""

    ran = 0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.at = _Event.ran

    def elapsed_time(self, other):
        return float(other.at - self.at)


def test_a_gpu_is_timed_between_events_after_a_flush_of_its_cache(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", _Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(harness, "_FLUSH_BYTES", 64)
    clock, flushed = harness.CudaClock(CPU), []

    def run():
        flushed.append(bool((clock.flush == 0).all()))
        clock.flush.fill_(1)
        _Event.ran += 1

    wall_ms, cpu_ms = clock(run)
    assert wall_ms == 1.0 and cpu_ms >= 0
    assert len(flushed) == 11 and all(flushed)  # one, and as many more as fit into ten milliseconds


def test_the_results_page_names_every_row(tmp_path):
    report.write_readme(tmp_path, ROWS)
    page = (tmp_path / "README.md").read_text()
    for row in ROWS:
        assert f"| {row.id} " in page and f"**{row.id}**: {row.what}" in page
    assert page.count(report.NOT_MEASURED) == len(ROWS) + 1  # and once in the introduction


def test_the_results_page_of_this_repository_is_of_these_rows():
    page = (report.RESULTS / "README.md").read_text()
    assert [row.id for row in ROWS if f"- **{row.id}**: {row.what}\n" not in page] == [], "python -m bench writes it"
