"""Touch it first, in a browser with the network cut: the model in the page against the package, and its stand-in."""

import pytest
import torch

import kimi_mini as km
from kimi_mini.dev import ROOT
from kimi_mini.viz import touch
from runs.ablation import Part, routes, switched_off

PAGE = "book/touch.html"
SETTLED = """() => {
  const { session } = KM.stages.find((stage) => stage.name === "touch");
  return session.live && !session.busy && !session.writing && session.pending === undefined;
}"""
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def mini():
    return km.load_mini()


@pytest.fixture(scope="module")
def measured():
    return touch.load_ablation(ROOT / "book" / "data" / "ablation.json")


@pytest.fixture
def model(visual_at):
    """`model()` opens the page; nothing is loaded yet."""
    return lambda **look: visual_at(PAGE, "touch", **look)


def settle(shown):
    shown.page.wait_for_function(SETTLED, timeout=60_000)
    shown.page.evaluate(TWO_FRAMES)


def ids_of(shown):
    return shown.page.evaluate("KM.stages.find((stage) => stage.name === 'touch').session.ids")


def expected(mini, ids, off=(), temperature=1.0):
    """What the page must show after these tokens: bytes, experts used, largest logit, the likeliest token and its chance."""
    model, _ = mini
    with switched_off(model, *off), torch.inference_mode():
        logits_V = model(torch.tensor([ids])).logits_BTV[0, -1]
        maxima_LH = model(torch.tensor([ids])).stats.max_logits_LH
        used = sum(len(layer.unique()) for layer in routes(model, torch.tensor(ids)))
    shares = km.generation.token_probabilities(logits_V[None], temperature)[0]
    largest, next_id = maxima_LH.max().item(), int(shares.argmax())
    return {
        "tokens": len(ids), "touched": used, "bytes": len(ids) * 5 * 80 * 4, "next": next_id,
        "share": shares[next_id].item(), "largest": largest, "maxima": maxima_LH,
    }  # fmt: skip


def agrees(shown, wanted, recorded=False):
    for name, value in wanted.items():
        if name != "maxima":
            assert shown.value(name) == pytest.approx(value, abs=0.006 if recorded else 1e-4), name
    return True


def test_before_it_is_touched_the_page_shows_a_recording(model, mini, complaints):
    shown = model()
    assert shown.root.get_attribute("data-value-mini") == "asleep" and "greatest" in shown.title
    _, tokenizer = mini
    assert agrees(shown, expected(mini, [tokenizer.bos, *tokenizer.encode(touch.PROMPTS["plays"][1])]), recorded=True)
    assert shown.page.evaluate("document.querySelectorAll('script[src*=\"/mini/\"]').length") == 0


def test_what_is_typed_is_read_as_the_package_reads_it(model, mini):
    shown, (_, tokenizer) = model(), mini
    for text in ("Question: What is 7 + 5?\n", "naïve 日本 🙂 x", "<|im_user|>user<|im_middle|>What is 2 + 2?<|im_end|>", ""):
        shown.control("text").fill(text)
        settle(shown)
        ids = [tokenizer.bos, *tokenizer.encode(text, special=True)]
        assert ids_of(shown) == ids and agrees(shown, expected(mini, ids))
    shown.control("text").press_sequentially("HAMLET.\nMy good lord", delay=5)
    settle(shown)
    assert agrees(shown, expected(mini, [tokenizer.bos, *tokenizer.encode("HAMLET.\nMy good lord")]))
    assert shown.control("text").input_value() == "HAMLET.\nMy good lord"
    shown.control("text").fill("My lord. " * 200)
    settle(shown)
    ids = [tokenizer.bos, *tokenizer.encode("My lord. " * 200)][:400]
    assert ids_of(shown) == ids and agrees(shown, expected(mini, ids))
    assert shown.control("text").input_value() == tokenizer.decode(ids[1:])
    assert "ends at 400 tokens" in shown.root.locator(".km-touch-status").inner_text()


def test_a_reading_that_is_cut_short_leaves_nothing_behind(model, mini):
    """Typed faster than it is read: what the worker knew of an abandoned text must not stand in for the new one."""
    shown, (_, tokenizer) = model(), mini
    shown.control("text").fill("x")
    settle(shown)
    texts = [("My lord. " * n)[: 40 * n] + "Question: What is 3 + 4?\n" * n for n in range(1, 7)]
    for text in [*texts, *texts[::-1]]:
        shown.control("text").fill(text)
    settle(shown)
    ids = [tokenizer.bos, *tokenizer.encode(texts[0])]
    assert ids_of(shown) == ids and agrees(shown, expected(mini, ids))
    for name in ("expert-1-0", "head-0-0", "expert-1-0", "shared-1", "head-0-0", "shared-1"):
        shown.root.locator(f"[data-part={name}]").click()
    settle(shown)
    assert shown.value("off") == 0 and agrees(shown, expected(mini, ids))


def test_each_beginning_and_an_earlier_token(model, mini):
    shown, (_, tokenizer) = model(), mini
    shown.control("text").fill("x")
    settle(shown)
    for key, (_, text) in touch.PROMPTS.items():
        shown.control(f"begin-{key}").click()
        settle(shown)
        ids = [tokenizer.bos, *tokenizer.encode(text, special=True)]
        assert ids_of(shown) == ids and agrees(shown, expected(mini, ids))
    shown.root.locator(".km-touch-strip button").nth(4).click()
    shown.page.evaluate(TWO_FRAMES)
    assert agrees(shown, expected(mini, ids[:5]))


def test_parts_are_switched_off_by_click_and_by_key(model, mini):
    shown, (_, tokenizer) = model(), mini
    ids = [tokenizer.bos, *tokenizer.encode(touch.PROMPTS["plays"][1])]
    off = []

    def now(*parts):
        off[:] = parts
        settle(shown)
        assert shown.value("off") == len(off) and agrees(shown, expected(mini, ids, off))

    lit = routes(mini[0], torch.tensor(ids))[1, -1].tolist()[0]
    tile = shown.root.locator(f"[data-part=expert-2-{lit}]")
    tile.click()
    now(Part("expert", 2, lit))
    assert tile.get_attribute("aria-pressed") == "true" and f"With expert {lit} of layer 2 off" in shown.title
    shown.root.locator("[data-part=head-2-4]").focus()
    shown.page.keyboard.press("ArrowRight")
    shown.page.keyboard.press("Enter")
    now(*off, Part("head", 2, 5))
    shown.page.keyboard.press("ArrowDown")
    shown.page.keyboard.press("End")
    shown.page.keyboard.press("Space")
    now(*off, Part("shared", 3))
    shown.page.keyboard.press("Space")
    now(*off[:2])
    shown.root.get_by_role("button", name="reset").click()
    now()


def test_temperature_moves_the_chances_and_tau_marks_heads(model, mini):
    shown, (_, tokenizer) = model(), mini
    shown.control("text").fill("What is the")
    settle(shown)
    ids = [tokenizer.bos, *tokenizer.encode("What is the")]
    shown.press("temperature", *["ArrowLeft"] * 5)
    wanted = expected(mini, ids, temperature=0.5)
    assert agrees(shown, wanted)
    assert shown.value("over") == 0 and "over" not in shown.title
    for _, tau in zip(range(9), (50, 30, 20, 15, 12, 10, 8, 5, 2), strict=True):
        shown.press("tau", "ArrowLeft")
        assert shown.value("over") == int((wanted["maxima"] > tau).sum())
        assert shown.root.locator(".km-head.km-over").count() == shown.value("over")
    assert shown.value("over") > 20


def test_at_temperature_0_the_runners_up_keep_their_chances_at_1(model, mini):
    shown, (network, tokenizer) = model(), mini
    shown.control("text").fill("What is the")
    settle(shown)
    shown.press("temperature", "Home")
    ids = [tokenizer.bos, *tokenizer.encode("What is the")]
    wanted = expected(mini, ids)
    assert agrees(shown, wanted)
    assert "takes" in shown.title and f"({wanted['share']:.0%}".replace("%", "\u00a0% at temperature 1)") in shown.title
    with torch.inference_mode():
        shares = network(torch.tensor([ids])).logits_BTV[0, -1].softmax(-1).topk(5).values
    listed = shown.root.locator(".km-touch-share").all_inner_texts()
    assert listed == [f"{100 * share:.1f}\u00a0%" for share in shares.tolist()]


def test_a_long_text_shows_whole_lines_of_tokens(model):
    shown = model(width=360)
    shown.control("text").fill("My lord. " * 60)
    settle(shown)
    cut = """(strip) => [...strip.children].filter((button) => {
      const [own, box] = [button.getBoundingClientRect(), strip.getBoundingClientRect()];
      return own.top < box.top - 1 && own.bottom > box.top + 2;
    }).length"""
    assert shown.root.locator(".km-touch-strip").evaluate(cut) == 0


def test_writing_at_temperature_0_is_what_generate_writes(model, mini):
    shown, (network, tokenizer) = model(), mini
    shown.control("begin-chat").click()
    shown.press("temperature", "Home")
    shown.control("write").click()
    settle(shown)
    prompt = [tokenizer.bos, *tokenizer.encode(touch.PROMPTS["chat"][1], special=True)]
    (answer,) = km.generate(network, [prompt], max_new_tokens=60, eos=tokenizer.eos)
    assert ids_of(shown) == prompt + answer
    assert shown.control("text").input_value() == tokenizer.decode(ids_of(shown)[1:])
    shown.control("next-1").click()
    settle(shown)
    assert ids_of(shown)[:-1] == prompt + answer and shown.value("tokens") == len(prompt + answer) + 1


def test_a_guess_comes_before_the_count(model, mini, measured):
    shown = model()
    assert "so far" not in shown.root.locator(".km-touch-count").inner_text()
    shown.control("ask").click()
    shown.lock(steps=10, confidence=50)
    assert f"Your guess: 40\u00a0%, 50\u00a0% sure. Measured on held-out text: {measured.touched_by(32):.0%}".replace(
        "9%", "9\u00a0%"
    ) in (shown.root.locator(".km-guess").inner_text())
    assert f"{int(shown.value('touched'))} of 128" in shown.root.locator(".km-touch-count").inner_text()
    assert shown.root.locator(".km-touch-used").all_inner_texts() == ["measured, 32 tokens\nyour guess"]


def book_without(folder, built_book, missing):
    """A copy of the chapter, of links but for one file of the model."""
    for part in ("book", "_static", "_static/mini"):
        (folder / part).mkdir()
        for path in (built_book / part).iterdir():
            if path.name not in ("mini", missing) and part != "book":
                (folder / part / path.name).symlink_to(path)
    (folder / PAGE).write_bytes((built_book / PAGE).read_bytes())
    return folder / PAGE


@pytest.mark.parametrize("missing", ["head.js", "part-05.js", "no worker"])
def test_where_the_model_cannot_run_a_recording_writes_on(visual_at, built_book, tmp_path, mini, complaints, missing):
    shown = visual_at(book_without(tmp_path, built_book, missing), "touch", width=360)
    if missing == "no worker":
        shown.page.evaluate("() => { globalThis.Worker = class { constructor() { throw new Error('no worker here'); } }; }")
    shown.control("text").fill("Anything")
    shown.page.wait_for_selector("#km-touch[data-value-mini=failed]")
    shown.page.evaluate(TWO_FRAMES)
    assert missing in shown.root.locator(".km-touch-status").inner_text()
    complaints.clear()  # the browser reports the script that was kept from it
    recorded = touch.record(*mini, touch.PROMPTS["facts"][1])
    shown.control("begin-facts").click()
    for count in range(recorded["asked"], len(recorded["ids"])):
        assert agrees(shown, expected(mini, recorded["ids"][:count]), recorded=True)
        shown.control("write").click()
        shown.page.evaluate(TWO_FRAMES)
    assert shown.control("write").is_disabled()
    shown.root.locator("[data-part=shared-2]").click()
    assert shown.value("off") == 0 and shown.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_losses_are_those_of_the_chosen_text(visual_at, measured):
    shown = visual_at(PAGE, "touch-losses")
    assert "head" not in shown.title and shown.control("text").count() == 0
    shown.lock(steps=5, confidence=70)
    assert "0.35 nats more" in shown.root.locator(".km-guess").inner_text() and "your guess" in shown.labels
    for domain in ("all", *measured.domains):
        shown.control("text").select_option(domain)
        cost = {part: measured.cost(part, None if domain == "all" else domain)[0] for part in measured.loss}
        heads = {part: cost[part] for part in measured.parts("head")}
        assert shown.value("shared") == pytest.approx(cost["shared"], abs=1e-5)
        assert shown.value("head") == pytest.approx(max(heads.values()), abs=1e-5)
        assert shown.value("worst") == pytest.approx(max(cost[part] for part in measured.parts("expert")), abs=1e-5)
        _, layer, head = max(heads, key=heads.get).split("-")
        assert f"head {head} of layer {layer}" in shown.title


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (360, False), (360, True)])
def test_it_runs_in_every_look(model, mini, width, dark):
    shown, (_, tokenizer) = model(width=width, dark=dark), mini
    shown.control("text").fill("My lord")
    settle(shown)
    assert agrees(shown, expected(mini, [tokenizer.bos, *tokenizer.encode("My lord")]))
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
