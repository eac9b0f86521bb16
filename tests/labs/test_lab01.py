"""What lab 1 says is what the package computes; its functions, put together, are MINI; only small entries are kept."""

import math

import pytest
import torch

import kimi_mini as km
from kimi_mini.labs import attempt, difference, store
from labs.course import instructor_lab
from labs.course.bake import function_of
from labs.course.find import load_notebook, load_spec

SPEC = load_spec("lab01")
SOLVED = {each.name: function_of(each.practice.solution) for each in SPEC.coding}
# The mistakes that the cases must catch, whatever else they catch.
PLANNED = {
    "rotate_pairs": {"half-split layout", "i/d for 2i/d", "all dims rotated", "YaRN applied to the fast clocks"},
    "compress_expand": {"no norm on the latent", "norm on the rope key", "k and v split across heads"},
    "attend": {"root of the content width", "mask after softmax", "YaRN's scale factor left out"},
    "decode_step": {
        "stored before the norm",
        "key rotated at reading time",
        "position restarts at 0",
        "expanded keys stored",
    },
    "absorb": {"missing transpose", "sum over heads", "value projection forgotten", "keys expanded"},
}


def _prose(cell_id):
    return " ".join(next(cell.source for cell in load_notebook("lab01").cells if cell.id == cell_id).split())


@pytest.mark.parametrize("name", PLANNED)
def test_the_planned_mistakes_are_there(name):
    assert {mistake.name for mistake in SPEC[name].practice.mistakes} >= PLANNED[name]


def test_the_table_lists_what_is_planned():
    minutes = sum(each.minutes for each in SPEC.exercises)
    assert minutes == 130 and f"| all | {minutes} | | {sum(each.points for each in SPEC.exercises)} |" in _prose("title")
    rows = load_notebook("lab01").cells[0].source.split("|---|---|---|---|\n")[1].splitlines()
    for row, each in zip(rows[: len(SPEC.exercises)], SPEC.exercises, strict=True):
        assert each.title in row and f"| {each.minutes} |" in row and row.endswith(f"| {each.points} |")


def test_the_numbers_of_k2_are_right():
    yarn = km.K2.rope_scaling
    assert (yarn.factor, yarn.original_max_position_embeddings, km.K2.max_position_embeddings) == (32, 4096, 131_072)
    assert "K2's factor is 32, for 131,072 positions instead of 4,096." in _prose("rotate-pairs-text")
    assert "64 of 192 numbers, theta 50,000" in SPEC["rotate_pairs"].practice.solution
    assert (km.K2.qk_rope_head_dim, km.K2.qk_nope_head_dim, km.K2.qk_head_dim, km.K2.rope_theta) == (64, 128, 192, 50_000)
    assert "128 + 64 = 192" in _prose("attend-text") and "that is 1.813." in _prose("attend-text")
    assert round((0.1 * math.log(32) + 1) ** 2, 3) == 1.813
    assert math.isclose(km.K2.softmax_scale, (0.1 * math.log(32) + 1) ** 2 / math.sqrt(192))
    assert "576 multiplications instead of 192" in _prose("absorb-after") and km.K2.cache_width == 576


def test_a_turned_product_depends_on_the_distance_alone():
    q_THN, k_THN = torch.randn(2, 1, 1, km.K2.qk_head_dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def product(at_q, at_k):
        turn = SOLVED["rotate_pairs"]
        q, k = turn(q_THN, torch.tensor([at_q]), km.K2), turn(k_THN, torch.tensor([at_k]), km.K2)
        return (q * k).sum().item()

    assert math.isclose(product(70_007, 70_003), product(7, 3), rel_tol=1e-9)
    assert not math.isclose(product(7, 3), product(3, 7), rel_tol=1e-2)


def test_an_absorbed_answer_is_read_without_anything_large():
    """The limit of every spied case lies below one head's keys, and below one head's values."""
    for variant in (SPEC["absorb"].practice, *SPEC["absorb"].twists):
        spied = [case for case in variant.cases(7) if case.largest]
        assert len(spied) == 2
        for case in spied:
            _, cache_SX, kv_up, config = case.args
            assert case.largest == max(cache_SX.numel(), kv_up.numel())
            assert case.largest < len(cache_SX) * min(config.qk_nope_head_dim, config.v_head_dim)
            assert attempt(function_of(variant.solution), store(case))["largest"] <= case.largest


def test_decoding_from_nothing_is_the_whole_attention():
    """decode_step after decode_step gives what compress_expand, rotate_pairs and attend give at once, and so does absorb."""
    gen = torch.Generator().manual_seed(3)
    yarn = km.YarnScaling(8.0, 64, beta_fast=8.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0)
    config = km.NANO.replace(
        num_attention_heads=2, qk_nope_head_dim=4, qk_rope_head_dim=4, v_head_dim=3, kv_lora_rank=6, rope_scaling=yarn
    )
    tokens, positions_T = 9, torch.arange(9)
    x_TD, q_THN = (torch.randn(tokens, *shape, generator=gen, dtype=torch.float64) for shape in ((7,), (2, 8)))
    weights = {
        "kv_down": torch.randn(10, 7, generator=gen, dtype=torch.float64),
        "kv_norm": torch.rand(6, generator=gen, dtype=torch.float64) + 0.5,
        "kv_up": torch.randn(14, 6, generator=gen, dtype=torch.float64),
        "n": 4,
    }
    entries_TX, k_THN, v_THM = SOLVED["compress_expand"](x_TD, weights, 2)
    q_turned, k_turned = (SOLVED["rotate_pairs"](x_THN, positions_T, config) for x_THN in (q_THN, k_THN))
    whole_THM = SOLVED["attend"](q_turned, k_turned, v_THM, config)
    cache_SX = torch.zeros(0, 10, dtype=torch.float64)
    for t in range(tokens):
        raw_X = weights["kv_down"] @ x_TD[t]
        out_HM, cache_SX = SOLVED["decode_step"](q_THN[t], raw_X, cache_SX, weights, config)
        read_HM = SOLVED["absorb"](q_turned[t], cache_SX, weights["kv_up"], config)
        assert torch.allclose(out_HM, whole_THM[t]) and torch.allclose(read_HM, whole_THM[t])
    assert cache_SX.shape == (tokens, config.cache_width)
    assert torch.allclose(cache_SX[:, :6], entries_TX[:, :6])


@pytest.mark.parametrize("name", ["einsum for all heads", "a loop over heads"])
def test_other_right_roads_pass(name):
    """Answers as a student may write them: nothing in the cases asks for the solution's own steps."""
    roads = {
        "einsum for all heads": (
            "def absorb(q, cache, up, c):\n"
            "    up = up.view(len(q), -1, up.shape[-1])\n"
            "    k, v = up[:, :c.qk_nope_head_dim], up[:, c.qk_nope_head_dim:]\n"
            "    q = torch.cat((torch.einsum('hnc,hn->hc', k, q[:, :c.qk_nope_head_dim]), q[:, c.qk_nope_head_dim:]), 1)\n"
            "    p = torch.softmax(torch.einsum('hx,sx->hs', q, cache) * c.softmax_scale, 1)\n"
            "    return torch.einsum('hmc,hc->hm', v, torch.einsum('hs,sc->hc', p, cache[:, :c.kv_lora_rank]))\n"
        ),
        "a loop over heads": (
            "def absorb(q, cache, up, c):\n"
            "    out, n, rows = [], c.qk_nope_head_dim, c.qk_nope_head_dim + c.v_head_dim\n"
            "    latent, rotary = cache[:, :c.kv_lora_rank], cache[:, c.kv_lora_rank:]\n"
            "    for h in range(len(q)):\n"
            "        own = up[h * rows:(h + 1) * rows]\n"
            "        logits = c.softmax_scale * (latent @ (own[:n].T @ q[h, :n]) + rotary @ q[h, n:])\n"
            "        out.append(own[n:] @ (logits.softmax(0) @ latent))\n"
            "    return torch.stack(out)\n"
        ),
    }
    answer, practice = function_of("import torch\n" + roads[name]), SPEC["absorb"].practice
    for case in map(store, practice.cases(11)):
        assert difference(attempt(SOLVED["absorb"], case), attempt(answer, case), case["largest"]) is None


def test_the_instructors_guess_is_locked():
    lab = instructor_lab("lab01")
    assert lab.answers == {"loss_without_positions": {"value": 4.0, "confidence": 50}}
