"""K2 at a glance, in a browser with the network cut: every control is moved, and the number that follows is the package's."""

import pytest

from kimi_mini import accounting
from kimi_mini.accounting import Layout
from kimi_mini.presets import DEEPSEEK_V3, K2, MOONLIGHT

PAGE = "book/glance.html"
MODELS = {"K2": K2, "DEEPSEEK_V3": DEEPSEEK_V3, "MOONLIGHT": MOONLIGHT}

pytestmark = pytest.mark.browser


@pytest.fixture
def visual(visual_at):
    return lambda name, **look: visual_at(PAGE, f"glance-{name}", **look)


# ---- the toy routes, written a second time -----------------------------------------------------------------------------


def mulberry32(seed):
    state, mask = seed & 0xFFFFFFFF, 0xFFFFFFFF
    while True:
        state = (state + 0x6D2B79F5) & mask
        mixed = ((state ^ state >> 15) * (state | 1)) & mask
        mixed ^= (mixed + (((mixed ^ mixed >> 7) * (mixed | 61)) & mask)) & mask
        yield ((mixed ^ mixed >> 14) & mask) / 2**32


def tiles_touched(config, tokens):
    used = set()
    for token in range(1, tokens + 1):
        draw = mulberry32(100_003 + token)
        for layer in range(config.num_moe_layers):
            chosen = set()
            while len(chosen) < config.num_experts_per_tok:
                chosen.add((layer, int(next(draw) * config.n_routed_experts)))
            used |= chosen
    return len(used)


# ---- the picture -------------------------------------------------------------------------------------------------------


def test_next_token_by_mouse_and_by_keyboard(visual):
    pixels = visual("pixels")
    assert pixels.value("touched") == 8 * 60 and pixels.value("tiles") == 384 * 60
    pixels.control("next").click()
    assert (pixels.value("tokens"), pixels.value("touched")) == (2, tiles_touched(K2, 2))
    pixels.press("next", "Enter", "Space")
    assert (pixels.value("tokens"), pixels.value("touched")) == (4, tiles_touched(K2, 4))


def test_a_hundred_tokens_wait_for_a_guess_then_use_nearly_all(visual):
    pixels = visual("pixels")
    pixels.control("jump").click()
    assert pixels.value("tokens") == 1, "the answer is not shown before the guess"
    assert pixels.control("lock").is_disabled(), "a guess needs a confidence"
    pixels.lock(steps=12)
    assert pixels.value("tokens") == 100
    assert pixels.value("expected") == pytest.approx(1 - (1 - 8 / 384) ** 100, abs=1e-12)
    assert pixels.value("share") == tiles_touched(K2, 100) / (384 * 60)
    assert f"{pixels.value('share'):.1%}".replace("%", "\u00a0%") in pixels.title
    assert "Your guess: 62\u00a0%, 70\u00a0% sure." in pixels.root.locator(".km-guess").inner_text()
    assert "your guess 62\u00a0%" in pixels.labels, "the guess stays on the axes of the answer"
    pixels.control("jump").click()
    assert pixels.value("tokens") == 200


def test_each_model_is_drawn_at_its_own_size(visual):
    pixels = visual("pixels")
    for key, config in reversed(MODELS.items()):
        pixels.choose("model", key)
        count = accounting.count_parameters(config)
        assert (pixels.value("total"), pixels.value("activated")) == (count.total, count.activated)
        assert pixels.value("side") == round((count.total / 1e6) ** 0.5)
        assert pixels.value("touched") == tiles_touched(config, 1)


def test_the_picture_lights_what_the_counter_counts(visual):
    """Counted from the canvas itself: as many dark pixels as the shares of this token's tiles ask for."""
    pixels = visual("pixels")
    lit = """(root) => {
        const canvas = root.querySelectorAll("canvas")[1];
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let dark = 0;
        for (let i = 0; i < data.length; i += 4) dark += data[i] === 0 && data[i + 1] === 0x54 && data[i + 2] === 0x3d;
        return dark / (canvas.width * canvas.height);
    }"""
    expert = accounting.expert_parameters(K2)
    working = 60 * (8 + 1) * expert / accounting.count_parameters(K2).total
    assert pixels.root.evaluate(lit) == pytest.approx(working, rel=0.15)  # edges are snapped to whole pixels


# ---- area and work -----------------------------------------------------------------------------------------------------


def test_work_is_covered_until_a_guess(visual):
    strips = visual("strips")
    assert "18.8" not in strips.labels and "18.8" not in strips.title
    strips.lock(steps=4, confidence=90)
    assert "18.8\u00a0%" in strips.title
    assert "your guess 9\u00a0%" in strips.labels


@pytest.mark.parametrize("key", MODELS)
def test_conventions_change_the_share_of_attention(visual, key):
    strips = visual("strips")
    strips.control("skip").click()
    strips.choose("model", key)
    count = accounting.count_parameters(MODELS[key])
    activated = {
        "neither": count.activated_without_embedding_and_head,
        "head": count.activated_without_embedding,
        "both": count.activated,
    }
    for convention, number in activated.items():
        strips.choose("convention", convention)
        assert (strips.value("total"), strips.value("activated")) == (count.total, number)
        assert strips.value("attention-of-activated") == pytest.approx(count["attention"].activated / number, abs=1e-12)
        assert strips.value("attention-of-total") == pytest.approx(count["attention"].total / count.total, abs=1e-12)


# ---- calculators -------------------------------------------------------------------------------------------------------

STEPS = {
    "num_hidden_layers": 1,
    "first_k_dense_replace": 1,
    "n_routed_experts": 8,
    "num_experts_per_tok": 1,
    "num_attention_heads": 8,
    "hidden_size": 256,
    "vocab_size": 4096,
}


def test_arrow_keys_turn_every_field(visual):
    calculator = visual("calculator")
    for field, step in STEPS.items():
        calculator.control("field").select_option(field)
        calculator.press(field, "ArrowRight", "ArrowRight", "ArrowRight")
        count = accounting.count_parameters(K2.replace(**{field: getattr(K2, field) + 3 * step}))
        assert (calculator.value("total"), calculator.value("activated")) == (count.total, count.activated), field
        assert f"{count.total:,}" in calculator.labels
        calculator.root.get_by_role("button", name="reset").click()


def test_layer_0_with_experts_gives_the_reports_1043_billion(visual):
    calculator = visual("calculator")
    button = calculator.control("all-moe")
    button.click()
    assert calculator.value("total") == 1_042_970_097_536
    assert "1,043" in calculator.title and button.get_attribute("aria-pressed") == "true"
    button.click()
    assert calculator.value("total") == 1_026_408_232_448


def test_fields_add_up_and_reset_takes_them_back(visual):
    calculator = visual("calculator")
    calculator.control("all-moe").click()
    calculator.control("field").select_option("num_attention_heads")
    calculator.press("num_attention_heads", "End")
    changed = K2.replace(first_k_dense_replace=0, num_attention_heads=256)
    assert calculator.value("activated") == accounting.count_parameters(changed).activated
    calculator.root.get_by_role("button", name="reset").click()
    assert calculator.value("activated") == accounting.count_parameters(K2).activated


def test_a_slider_follows_the_mouse(visual):
    calculator = visual("calculator")
    calculator.control("field").select_option("n_routed_experts")
    slider = calculator.control("n_routed_experts")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    calculator.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    calculator.page.mouse.down()
    calculator.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=4)
    calculator.page.mouse.up()
    assert calculator.value("total") == accounting.count_parameters(K2.replace(n_routed_experts=768)).total


def test_cache_bytes_follow_context_and_users(visual):
    cache = visual("cache")
    cache.press("context", "ArrowLeft", "ArrowLeft")
    cache.press("users", "ArrowRight")
    for kind in ("mla", "mha", "gqa", "mqa"):
        assert cache.value(kind) == accounting.cache_bytes(K2, 2 * 131072 // 4, kind)
    assert f"{cache.value('mla') / 2**30:.2f}" in cache.title


def test_flops_follow_the_context(visual):
    flops = visual("flops")
    flops.press("context", "End")
    training, absorbed = accounting.training_flops(K2, 131072), accounting.decode_flops(K2, 131072)
    assert flops.value("training-attention") == training.attention and flops.value("training-weights") == training.weights
    assert flops.value("absorbed-attention") == absorbed.attention and flops.value("absorbed-weights") == absorbed.weights
    assert flops.value("expanded-attention") == accounting.decode_flops(K2, 131072, "expanded").attention
    assert f"{absorbed.attention / absorbed.total:.0%}".replace("%", "\u00a0%") in flops.title


def test_memory_follows_the_layout(visual):
    memory = visual("memory")
    moves = [
        (None, Layout(16, 16, 8)),
        (("pipeline", "End"), Layout(61, 16, 8)),
        (("expert", "ArrowRight"), Layout(61, 32, 8)),
        (("data", "Home"), Layout(61, 32, 1)),
        (("pipeline", "Home"), Layout(1, 32, 1)),
    ]
    for move, layout in moves:
        if move:
            memory.press(*move)
        fullest = max(accounting.memory_per_gpu(K2, layout), key=lambda stage: stage.total)
        assert memory.value("gpus") == layout.pipeline * layout.expert * layout.data
        assert memory.value("fullest") == pytest.approx(fullest.total, rel=1e-12)
        assert memory.value("optimizer") == fullest.optimizer
