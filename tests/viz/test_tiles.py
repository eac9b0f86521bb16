"""The tile walk: in Python it is kernels.attention and counts what it moves; in the page it is the walk in Python."""

import itertools
import json

import pytest
import torch

import kimi_mini as km
from kimi_mini import corpus, kernels
from kimi_mini.viz import tile_walk, tiles
from kimi_mini.viz.series import unpack
from kimi_mini.viz.stage import static_files

SIZES = [(16, 8), (7, 13), (64, 64), (8, 50), (50, 1)]
NEGATIVE = -40.0  # far below every logit that a zero would hide


@pytest.fixture(scope="module")
def head():
    return tiles.look_into(km.load_mini()[0], *text(64), layer=4, head=5)


def text(count):
    tokens = corpus.load().tokens["facts"]["held_out"][:count].tolist()
    tokenizer = corpus.load_tokenizer()
    return tokens, [tokenizer.decode([token]) for token in tokens]


def inputs(dtype, shift=0.0, tokens=50):
    """One head's q, k and v; `shift` moves all logits by about that much."""
    torch.manual_seed(3)
    q_TN, k_TN, v_TM = (torch.randn(tokens, n, dtype=torch.float64) for n in (6, 6, 4))
    q_TN[:, 0], k_TN[:, 0] = 1.0, shift
    return [x.to(dtype) for x in (q_TN, k_TN, v_TM)]


def ours_and_theirs(way, q_TN, k_TN, v_TM, rows, keys, scale=0.7):
    out_BTHM, max_logits_H = kernels.attention(*(x[None, :, None] for x in (q_TN, k_TN, v_TM)), scale=scale, impl="ref")
    return tile_walk.WAYS[way](tile_walk.Memory(), q_TN, k_TN, v_TM, scale, rows, keys), (out_BTHM[0, :, 0], max_logits_H[0])


# ---- the walk in Python ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0.0, NEGATIVE, 600.0])
@pytest.mark.parametrize(("rows", "keys"), SIZES)
@pytest.mark.parametrize("way", tile_walk.WAYS)
def test_every_way_is_attention_with_its_largest_logit(way, rows, keys, shift):
    ours, theirs = ours_and_theirs(way, *inputs(torch.float64, shift), rows, keys)
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(ours[1], theirs[1], atol=1e-12, rtol=1e-14)
    assert shift != NEGATIVE or ours[1] < 0, "a maximum that starts at 0 would show here"


def test_a_row_is_never_kept_wider_than_its_tile():
    q_TN, k_TN, v_TM = inputs(torch.float64)
    steps = list(tile_walk.walk(q_TN, k_TN, v_TM, scale=0.7, rows=16, keys=8))
    assert max(step.logits_RC.numel() for step in steps) == 16 * 8 and all(step.out_RM.shape[1] == 4 for step in steps)
    assert sum(step.is_last for step in steps) == 4 and len(steps) == 2 + 4 + 6 + 7, "tiles that look ahead are left out"
    for before, after in itertools.pairwise(steps):
        assert before.rows != after.rows or (after.max_R >= before.max_R).all()


@pytest.mark.parametrize(("rows", "keys"), SIZES)
def test_the_arithmetic_counts_what_the_walk_moves(rows, keys):
    q_TN, k_TN, v_TM = inputs(torch.bfloat16)
    counted = tile_walk.traffic(50, rows, keys, 6, 4)
    for way, run in tile_walk.WAYS.items():
        memory = tile_walk.Memory()
        run(memory, q_TN, k_TN, v_TM, 0.7, rows, keys)
        assert memory.asked == counted[way], way


def test_one_tile_by_hand():
    # One tile: q, k, v, out once; 4 bytes of log-sum-exp a row, 4 of maximum; four trips of a 10 x 10 square in bf16.
    once = 2 * 10 * (6 + 6 + 4 + 4)
    assert tile_walk.traffic(10, 10, 10, 6, 4) == {
        "write": once + 4 * 2 * 10 * 10 + 4, "twice": once + 2 * 10 * (6 + 6) + 44, "fused": once + 44,
    }  # fmt: skip
    assert tile_walk.on_chip(10, 20, 6, 4) == {"shared": 2 * (60 + 2 * 200), "registers": 4 * 10 * (20 + 4 + 2)}


def test_bad_tiles_are_refused():
    with pytest.raises(ValueError, match="rows = 0"):
        next(tile_walk.walk(*inputs(torch.float64), scale=1.0, rows=0, keys=8))


# ---- the head on the page ----------------------------------------------------------------------------------------------


def test_the_head_is_minis(head, monkeypatch):
    seen, original = [], kernels.attention

    def record(q, k, v, **kwargs):
        seen.append((q, k, v, kwargs["scale"]))
        return original(q, k, v, **kwargs)

    monkeypatch.setattr(kernels, "attention", record)
    km.load_mini()[0](torch.tensor([text(64)[0]]))
    q, k, v, scale = seen[4]
    for mine, its in zip((head.q_TN, head.k_TN, head.v_TM), (q, k, v), strict=True):
        torch.testing.assert_close(mine, its[0, :, 5].double(), rtol=1e-3, atol=1e-4)
    assert head.scale == scale


def test_a_head_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="head = 6"):
        tiles.look_into(km.load_mini()[0], *text(4), layer=0, head=6)
    with pytest.raises(ValueError, match="one for each of 4 tokens"):
        tiles.look_into(km.load_mini()[0], text(4)[0], ["a"], layer=0, head=0)


def test_the_page_gets_the_head_and_k2s_numbers(head):
    stage = tiles.tile_walk_figure(head)
    data = json.loads(json.dumps(stage.data))
    assert torch.equal(torch.tensor(unpack(data["head"]["q"], (64, 48))).double(), head.q_TN)
    assert data["all_logits"] == 64 * 8192 * 8192 * 2 and data["needed"] == 256
    assert "8.6\u00a0GB" in stage.title and "256 bytes" in stage.title and len(json.dumps(data)) < 120_000
    assert f"{tile_walk.traffic(8192, 64, 64)['fused'] * 64 / 1e9:.1f} GB" in stage.still


# ---- the walk in the page ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script(chromium):
    """`script("traffic", ...)` calls a function of 48-tiles.js in a browser."""
    page = chromium.new_page()
    page.add_script_tag(path=next(path for path in static_files() if path.name.endswith("-tiles.js")))
    yield lambda name, *arguments: page.evaluate("([name, rest]) => KM.tileWalk[name](...rest)", [name, list(arguments)])
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize(("rows", "keys"), SIZES)
def test_the_page_counts_and_orders_as_python_does(script, rows, keys):
    shape = {"tokens": 50, "qk": 6, "v": 4, "stages": tile_walk.STAGES}
    assert script("traffic", shape, rows, keys) == tile_walk.traffic(50, rows, keys, 6, 4)
    assert script("onChip", shape, rows, keys) == tile_walk.on_chip(rows, keys, 6, 4)
    steps = tile_walk.walk(*inputs(torch.float64), scale=0.7, rows=rows, keys=keys)
    walked = [[step.rows.start, step.rows.stop, step.keys.start, step.keys.stop, step.is_last] for step in steps]
    assert [[*tile["row"], *tile["key"], tile["last"]] for tile in script("tiles", 50, rows, keys)] == walked


# ---- quiet figures -----------------------------------------------------------------------------------------------------


def test_bytes_of_three_ways_are_counted():
    figure = tiles.bytes_by_way((64, 128)).figure
    rest, logits = figure["frames"][1]["data"]
    counted = tile_walk.traffic(8192, 128, 64)
    together = [a + b for a, b in zip(rest["y"], logits["y"], strict=True)]
    assert together == pytest.approx([64 * counted[way] / 1e9 for way in ("write", "twice", "fused")], rel=1e-3)
    assert logits["y"] == [pytest.approx(4 * 8.59, rel=1e-3), 0, 0] and logits["text"][2] == "<b>11.2 GB</b>"
    assert "11.2 GB fused, 18.0 GB with a second look" in figure["layout"]["meta"]["titles"][1]


def test_tiles_of_experts_pad_and_fit_the_table():
    figure = tiles.expert_tiles([5, 0, 16, 17], sizes=(16,)).figure
    load, padding, _ = figure["data"]
    assert load["y"] == [17, 16, 5, 0] and padding["y"] == [15, 0, 11, 0]
    assert figure["layout"]["meta"]["title"] == "Tiles of 16 rows: 4 tiles in use, 68% padding; the table has room for 7"
