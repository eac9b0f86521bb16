"""The compiler's table and the roofline: recorded numbers as they are, no dot that is not measured, dots once there are."""

import json
import re

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.kernels import work
from kimi_mini.viz import compiled

GATE = ROOT / "book" / "data" / "kernels" / "gate.json"


def report(**changes):
    return {
        "case": "attention K2", "kernel": "attention_triton._forward", "arch": 90, "registers": 254, "stack": 0,
        "shared": 212_992, "warps": 8, "dot": True, "tensor_cores": True, "faults": [],
    } | changes  # fmt: skip


def cells(markup):
    return [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", markup.body)]


def test_the_table_has_the_launch_with_most_registers_and_says_what_is_wrong():
    bad = report(kernel="moe_triton_backward._up", stack=16, tensor_cores=False)
    others = [report(registers=100), report(arch=80, registers=255), report(case="attention K2 fp32", registers=255)]
    content = {
        "reports": [report(), bad, *others],
        "limits": {"90": 232_448},
        "date": "2026-01-02",
        "versions": {"triton": "3.7.1"},
    }
    table = compiled.compiler_table(content)
    assert cells(table)[6:] == [
        "attention: forward", "254", "0", "212,992", "8", "yes", "moe backward: up", "254", "16", "212,992", "8", "MISSING",
    ]  # fmt: skip
    assert "sm_90" in table.body and "2026-01-02" in table.body and "232,448" in table.body
    with pytest.raises(ValueError, match="shape = 'K3'"):
        compiled.compiler_table(content, "K3")


def test_the_recorded_reports_are_whole():
    content = compiled.read_gate(GATE)
    assert content["made_by"] == "python -m runs.kernels" and content["limits"]["90"] == 232_448
    for one in content["reports"]:
        assert (one["faults"] == []) == (one["stack"] == 0 and one["shared"] <= content["limits"][str(one["arch"])]), one
    with pytest.raises(ValueError, match=r"python -m runs.kernels"):
        compiled.read_gate(GATE.with_name("none.json"))


def test_without_a_gpu_there_is_no_dot():
    planned = compiled.shapes()
    figure = compiled.roofline([], planned).figure
    assert not [trace for trace in figure["data"] if "markers" in trace["mode"]]
    thin = next(trace for trace in figure["data"] if None in trace["x"])
    assert thin["x"][::3] == thin["x"][1::3] == [w.intensity for w in planned.values()]
    for w, most in zip(planned.values(), thin["y"][1::3], strict=True):
        assert w.flops / most / 1e9 == pytest.approx(w.floor_ms(work.H100)), "a line ends where the floor is"
    assert "not yet measured" in figure["layout"]["meta"]["title"] and "no measured dot" in figure["layout"]["meta"]["alt"]


def test_the_roof_is_the_lesser_of_two():
    roof = compiled.roofline([], compiled.shapes()).figure["data"][0]
    for x, y in zip(roof["x"], roof["y"], strict=True):
        assert y == pytest.approx(min(3.0 * x, 790))


def test_a_dot_appears_with_device_and_date(tmp_path):
    cpu = {"row": "C1", "date": "2026-01-01", "contenders": {"ours": {"best_ms": 1.0}}, "cpu": "x"}
    gpu = {
        "row": "G1.k2", "gpu": "NVIDIA H100", "date": "2026-02-03 10:00:00 UTC", "work": {"flops": 1.374e12, "bytes": 0.67e9},
        "gemm_gflops": 700e3, "copy_gbytes": 2.9e3,
        "contenders": {"ours": {"best_ms": 2.0, "median_ms": 2.5}, "peer": {"best_ms": 1.0, "median_ms": 1.0}},
    }  # fmt: skip
    bytes_only = gpu | {"work": {"flops": 0, "bytes": 1e9}}
    (tmp_path / "one.json").write_text(
        json.dumps({"C1 1t": cpu, "G1.k2": gpu, "G9.k2": bytes_only, "G13": gpu | {"work": None}})
    )
    (dot,) = compiled.measured(tmp_path)
    assert dot.tflops == pytest.approx(549.6) and dot.work == work.Work(1.374e12, 0.67e9)
    figure = compiled.roofline([dot], compiled.shapes()).figure
    assert figure["data"][-1]["y"] == [549.6] and figure["data"][-1]["text"] == ["G1.k2"]
    assert "NVIDIA H100, 2026-02-03" in figure["layout"]["meta"]["title"] and figure["data"][0]["y"][-1] == pytest.approx(700)


def test_intensities_and_floors_are_those_of_work():
    rows = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)
        for line in compiled.intensities(compiled.shapes()).body.split("<tr>")[2:]
    ]
    found = {row[0].partition(" ")[2]: row[1:] for row in rows}
    assert found["attention"] == ["1.37", "0.67", "2,048", "products", "1.74"]
    assert found["decoding"] == ["0.073", "0.61", "120", "bytes", "0.203"]
