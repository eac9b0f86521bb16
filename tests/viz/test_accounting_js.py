"""static/40-accounting.js gives the integers of accounting.py, for configs drawn at random."""

import dataclasses
import random

import pytest

from kimi_mini import accounting
from kimi_mini.accounting import Layout
from kimi_mini.presets import PRESETS
from kimi_mini.viz.stage import static_files

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def script(chromium):
    """`script("countParameters", config, ...)` calls a function of the script in a browser."""
    page = chromium.new_page()
    page.add_script_tag(path=next(path for path in static_files() if path.name.endswith("accounting.js")))
    yield lambda name, config, *rest: page.evaluate(
        "([name, rest]) => KM.accounting[name](...rest)", [name, [dataclasses.asdict(config), *rest]]
    )
    page.close()


def random_configs(count):
    pick = random.Random(20)
    for _ in range(count):
        layers, experts = pick.randint(1, 100), 8 * pick.randint(1, 128)
        yield PRESETS["k2"].replace(
            num_hidden_layers=layers,
            first_k_dense_replace=pick.randint(0, layers),
            n_routed_experts=experts,
            num_experts_per_tok=pick.randint(1, min(16, experts)),
            n_shared_experts=pick.randint(1, 3),
            num_attention_heads=pick.randint(1, 256),
            hidden_size=pick.randint(64, 16384),
            vocab_size=pick.randint(163_586, 400_000),
            intermediate_size=pick.randint(64, 40_000),
            moe_intermediate_size=pick.randint(16, 4096),
            q_lora_rank=pick.choice([None, pick.randint(1, 3000)]),
            kv_lora_rank=pick.randint(1, 1024),
            qk_nope_head_dim=pick.randint(1, 256),
            qk_rope_head_dim=2 * pick.randint(1, 64),
            v_head_dim=pick.randint(1, 256),
            tie_word_embeddings=pick.random() < 0.3,
        )


CONFIGS = [*PRESETS.values(), *random_configs(60)]


def test_parameters(script):
    for config in CONFIGS:
        theirs, ours = script("countParameters", config), accounting.count_parameters(config)
        assert theirs["blocks"] == [dataclasses.asdict(block) for block in ours.blocks]
        assert theirs["total"] == ours.total and theirs["activated"] == ours.activated
        assert theirs["withoutEmbedding"] == ours.activated_without_embedding
        assert theirs["withoutBoth"] == ours.activated_without_embedding_and_head
        assert ours.total < 2**53, "a larger count would not be exact in the script"


def test_flops(script):
    for index, config in enumerate(CONFIGS):
        context = 1 + 997 * index
        for path in ("expanded", "absorbed"):
            assert script("decodeFlops", config, context, path) == dataclasses.asdict(
                accounting.decode_flops(config, context, path)
            )
        assert script("trainingFlops", config, context) == dataclasses.asdict(accounting.training_flops(config, context))


def test_cache(script):
    for index, config in enumerate(CONFIGS):
        for kind in ("mla", "mha", "gqa", "mqa"):
            assert script("cacheBytes", config, 331 * index, kind) == accounting.cache_bytes(config, 331 * index, kind)


def test_memory_per_gpu(script):
    pick = random.Random(21)
    for config in CONFIGS:
        pipeline = pick.randint(1, min(20, config.num_hidden_layers))
        layout = {"pipeline": pipeline, "expert": pick.choice([1, 2, 4, 8]), "data": pick.randint(1, 9)}
        ours = accounting.memory_per_gpu(config, Layout(**layout))
        assert script("memoryPerGpu", config, layout) == [dataclasses.asdict(stage) for stage in ours]
