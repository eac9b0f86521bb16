"""The page's tokenizer and engine give the package's numbers, in node and in Chromium: ids, logits, routes, head maxima."""

import base64
import json
import shutil
import subprocess
import sys

import pytest
import torch

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.corpus.files import SHIPPED, WITH_MARKERS
from kimi_mini.dev import ROOT
from kimi_mini.generation import token_probabilities
from kimi_mini.viz.stage import static_files
from runs.ablation import Part, routes, switched_off

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import mini_files

SCRIPTS = [path for path in static_files() if path.name in ("60-tokenizer.js", "61-engine.js")]
OFF = [
    [],
    [Part("expert", 1, 3), Part("expert", 4, 31)],
    [Part("head", 0, 0), Part("head", 3, 5)],
    [Part("shared", layer) for layer in range(1, 5)],
    [Part("shared", 2), Part("head", 2, 1), *(Part("expert", 2, expert) for expert in range(32))],
]
ODD_TEXTS = [
    "", " ", "  two  spaces ", "\n\n\tdef f(x):\n        return x", "1234567", "x2y 3z", "it's we'll I'd they're",
    "naïve café — “quotes” …", "日本語 テスト", "٣٤ ½ Ⅷ 𝟜", "👩‍👩‍👧 🙂", "a\u0085b\u00a0c\u2003d\ufeffe\u200bf", "\r\n \r",
    "<|im_user|>hi<|im_end|> <|im_userx",
    "[BOS][EOS] [PAD]", "e\u0301 \u0301", "'S 's''", "\u2028x\u3000 y", "a" * 300,
]  # fmt: skip

PRELUDE = """
  KM.test = KM.test || {};
  KM.test.start = (head, text) => {
    const binary = atob(text);
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    KM.test.tokenizer = new KM.Tokenizer(head.tokenizer);
    KM.test.weights = KM.readSafetensors(bytes);
    KM.test.config = head.config;
  };
  KM.test.encode = (texts) => texts.map((text) => KM.test.tokenizer.encode(text));
  KM.test.decode = (rows) => rows.map((ids) => KM.test.tokenizer.decode(ids));
  KM.test.read = (ids, off) => {
    const engine = new KM.Engine(KM.test.config, KM.test.weights);
    const trace = ids.map((id) => engine.step(id, new Set(off)));
    return { ...Object.fromEntries(["maxima", "chosen", "weights"].map((key) => [key, trace.map((step) => step[key])])),
      logits: trace.map((step) => Array.from(step.logits)), bytes: engine.bytes };
  };
  KM.test.back = (ids, keep, other) => {
    const engine = new KM.Engine(KM.test.config, KM.test.weights);
    for (const id of ids) engine.step(id);
    engine.length = keep;
    return Array.from(other.map((id) => engine.step(id).logits).at(-1));
  };
  KM.test.probabilities = (logits, temperature) => Array.from(KM.probabilities(logits, temperature));
  KM.test.picks = (logits, temperature, draws) => draws.map((draw) => KM.pick(KM.probabilities(logits, temperature), draw));
"""

NODE_LOOP = """
  const read = require("readline").createInterface({ input: process.stdin });
  read.on("line", (line) => {
    const [name, rest] = JSON.parse(line);
    process.stdout.write(JSON.stringify(KM.test[name](...rest) ?? null) + "\\n");
  });
"""


class InNode:
    def __init__(self):
        sources = [path.read_text(encoding="utf-8") for path in SCRIPTS]
        program = "\n".join([*sources, f"const KM = globalThis.KM;{PRELUDE}{NODE_LOOP}"])
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(["node", "-e", program], stdin=pipe, stdout=pipe, text=True, encoding="utf-8")

    def __call__(self, name, *rest):
        self.process.stdin.write(json.dumps([name, rest]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)


class InChromium:
    def __init__(self, browser):
        self.page = browser.new_page()
        for path in SCRIPTS:
            self.page.add_script_tag(path=path)
        self.page.evaluate(f"() => {{ const KM = globalThis.KM;{PRELUDE} }}")

    def __call__(self, name, *rest):
        return self.page.evaluate("([name, rest]) => KM.test[name](...rest)", [name, list(rest)])

    def close(self):
        self.page.close()


@pytest.fixture(scope="module", params=["node", pytest.param("chromium", marks=pytest.mark.browser)])
def page(request):
    """`page("encode", texts)` calls a function of PRELUDE over the shipped weights."""
    if request.param == "node" and shutil.which("node") is None:
        pytest.skip("no node on this machine")
    runner = InNode() if request.param == "node" else InChromium(request.getfixturevalue("chromium"))
    weights = (SHIPPED / "mini" / "model.safetensors").read_bytes()
    runner("start", mini_files.head(SHIPPED, len(weights), 1), base64.b64encode(weights).decode())
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def mini():
    return km.load_mini()


@pytest.fixture(scope="module")
def exact(mini):
    """MINI in float64: the page sums in doubles, and where two experts all but tie, float32 may choose the other one."""
    model = km.KimiMini(mini[0].config, torch.float64)
    model.load_state_dict(mini[0].state_dict())
    return model.double()


@pytest.fixture(scope="module")
def texts(mini):
    """Two held-out beginnings of every domain, as ids."""
    text, (_, tokenizer) = corpus.load(), mini
    rows = [(d, t) for d in text.tokens for t in text.texts(d, "held_out")[:2]]
    return [[tokenizer.bos, *tokenizer.encode(t, special=d in WITH_MARKERS)[:47]] for d, t in rows]


def test_ids_are_those_of_the_package(page, mini):
    _, tokenizer = mini
    text = corpus.load()
    some = [t[:1500] for d in text.tokens for t in text.texts(d, "held_out")[:10]] + ODD_TEXTS
    ours = [tokenizer.encode(t, special=True) for t in some]
    assert page("encode", some) == ours
    assert page("decode", ours) == [tokenizer.decode(ids) for ids in ours]
    cut = [ids[1:-1] for ids in ours] + [[id] for id in range(tokenizer.vocab_size)]
    assert page("decode", cut) == [tokenizer.decode(ids) for ids in cut]


@pytest.mark.parametrize("off", OFF, ids=lambda off: " ".join(part.name for part in off)[:40] or "whole")
def test_logits_routes_and_maxima_are_those_of_the_package(page, mini, exact, texts, off):
    model = exact
    for ids in texts if not off else texts[::4]:
        ids_T = torch.tensor(ids)
        with switched_off(model, *off), torch.inference_mode():
            logits_TV, stats = model(ids_T[None])
            expert_LTK = routes(model, ids_T)
        theirs = page("read", ids, [part.name for part in off])
        assert (torch.tensor(theirs["logits"]) - logits_TV[0]).abs().max() < 1e-4
        if not off:
            with torch.inference_mode():
                single_TV = mini[0](ids_T[None]).logits_BTV[0]
            assert (torch.tensor(theirs["logits"]) - single_TV).abs().max() < 1e-4, "float32, the package's own format"
        chosen = [[set(row) for row in step[1:]] for step in theirs["chosen"]]
        assert chosen == [[set(row) for row in step] for step in expert_LTK.transpose(0, 1).tolist()]
        maxima_LH = torch.tensor(theirs["maxima"]).amax(0)
        assert (maxima_LH - stats.max_logits_LH).abs().max() < 1e-4
        assert all(
            sum(row) == pytest.approx(model.config.routed_scaling_factor) for step in theirs["weights"] for row in step[1:]
        )
        assert theirs["bytes"] == 4 * len(ids) * model.config.num_hidden_layers * model.config.cache_width


def test_the_cache_can_be_cut_back(page, mini, texts):
    model, _ = mini
    first, second = texts[0], texts[4]
    ids = [*first[:20], *second[20:40]]
    with torch.inference_mode():
        ours = model(torch.tensor([ids])).logits_BTV[0, -1]
    assert (torch.tensor(page("back", first, 20, ids[20:])) - ours).abs().max() < 1e-4


def test_a_draw_picks_by_the_package_s_probabilities(page, mini, texts):
    model, _ = mini
    with torch.inference_mode():
        logits_V = model(torch.tensor([texts[0]])).logits_BTV[0, -1]
    draws = [i / 97 for i in range(97)]
    for temperature in (0.0, 0.3, 1.0, 2.0):
        theirs = torch.tensor(page("probabilities", logits_V.tolist(), temperature), dtype=torch.float64)
        ours = token_probabilities(logits_V.double()[None], temperature)[0]
        assert torch.allclose(theirs, ours, atol=1e-12)
        picked = page("picks", logits_V.tolist(), temperature, draws)
        assert picked == [int((ours.cumsum(0) > draw).nonzero()[0]) for draw in draws]
        assert temperature > 0 or set(picked) == {int(logits_V.argmax())}
    assert page("picks", [0.0, 0.0], 1.0, [1.0]) == [1], "a crumb of rounding above the sum"


def test_the_scripts_hold_the_shipped_file(tmp_path):
    mini_files.write_mini(SHIPPED, tmp_path)
    parts = sorted(tmp_path.glob("part-*.js"))
    pieces = [base64.b64decode(path.read_text().split('"')[1], validate=True) for path in parts]
    assert b"".join(pieces) == (SHIPPED / "mini" / "model.safetensors").read_bytes()
    assert all(len(piece) == mini_files.CUT for piece in pieces[:-1])
    told = json.loads((tmp_path / "head.js").read_text().removeprefix("KM.miniHead(").removesuffix(");\n"))
    assert told["parts"] == len(parts) and told["bytes"] == sum(map(len, pieces)) and told["cut"] == mini_files.CUT
    shipped = [*tmp_path.iterdir(), *static_files()]
    assert sum(path.stat().st_size for path in shipped) < 15_000_000
