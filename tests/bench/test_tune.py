"""The search over a kernel's configurations: what it tries, what it refuses, and that it leaves the table as it was."""

import pytest
import torch

from bench import tune
from bench.registry import select
from kimi_mini import kernels
from kimi_mini.kernels.launch import Config

ENTRY = Config({"T_BLOCK": 16, "S_BLOCK": 8}, warps=4, stages=2)


def test_combinations_keep_what_is_not_named_and_begin_with_what_is_there():
    found = tune.combinations(ENTRY, ["T_BLOCK=16,32", "stages=2,3"])
    assert found == [
        ENTRY,
        Config({"T_BLOCK": 16, "S_BLOCK": 8}, 4, 3),
        Config({"T_BLOCK": 32, "S_BLOCK": 8}, 4, 2),
        Config({"T_BLOCK": 32, "S_BLOCK": 8}, 4, 3),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [(["X=1"], r"\['X'\] are no parameters"), (["T_BLOCK=1,2,3", "warps=1,2,4"], "9 combinations"), (["warps=a"], "invalid")],
)
def test_wrong_requests_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        tune.combinations(ENTRY, values)


def test_tables_are_found_by_name():
    assert tune.find_table("attention_triton._CONFIGS")["interpreter"].tiles
    for name in ("attention_triton.nothing", "nothing._CONFIGS", "attention_triton.attention", "x"):
        with pytest.raises(ValueError, match="is no table of configurations"):
            tune.find_table(name)


def test_each_candidate_is_checked_and_the_table_is_put_back(monkeypatch):
    monkeypatch.setattr(tune, "_ROUNDS", 1)
    (row,) = select(["G1.mini"])
    table = tune.find_table("attention_triton._CONFIGS")
    before = dict(table)
    candidates = [Config({"T_BLOCK": 8, "S_BLOCK": 16}), Config({"T_BLOCK": 12, "S_BLOCK": 8})]
    with kernels.using("triton"):
        right, odd = tune.search(row, row.toy, torch.device("cpu"), table, "interpreter", candidates)
    assert "'T_BLOCK': 8" in right and "ms, error" in right and float(right.rpartition(" ")[2]) < 1e-5
    assert "does not run" in odd  # tiles are powers of two
    assert table == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys):
    assert tune.main(["G1.mini", "attention_triton._CONFIGS", "warps=4"]) == 2
    assert "there is no GPU here" in capsys.readouterr().err
