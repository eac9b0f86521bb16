"""The MINI that ships: the file, what it says of itself, and that the figures beside it are this file's."""

import json

import pytest
import torch

import kimi_mini as km
from kimi_mini.corpus import load
from kimi_mini.corpus.files import SHIPPED, WITH_MARKERS
from kimi_mini.hub.mini import PROVENANCE
from kimi_mini.train.evaluation import evaluate


@pytest.fixture(scope="module")
def mini():
    return km.load_mini(SHIPPED)


@pytest.fixture(scope="module")
def about():
    return json.loads((SHIPPED / PROVENANCE).read_text(encoding="utf-8"))


def test_it_is_the_preset_with_this_tokenizer(mini, about):
    model, tokenizer = mini
    expected = km.MINI.replace(model_type="deepseek_v3", bos_token_id=tokenizer.bos, eos_token_id=tokenizer.eos)
    assert model.config == expected  # saved in Hugging Face's layout, which knows no kimi_k2
    assert about["parameters"] == km.count_parameters(model.config).total == 5_372_896
    assert all(parameter.equal(parameter.half().float()) for parameter in model.parameters())


def test_its_routers_use_every_expert(mini):
    model, tokenizer = mini
    text = load()
    ids = [tokenizer.encode(text.texts(domain, "held_out")[0], special=domain in WITH_MARKERS)[:512] for domain in text.tokens]
    load_LE = torch.stack([model(torch.tensor([i])).stats.expert_load_LE for i in ids]).sum(0)
    assert (load_LE[1:] > 0).all(), "an expert is never chosen in five domains"


def test_the_clip_was_on_watch_and_never_fired(about):
    assert about["clipped_heads"] == 0 < about["largest_logit"] < about["config"]["step"]["tau"]


@pytest.mark.slow
@pytest.mark.parametrize("domain", ["facts", "maths", "chat"])
def test_the_losses_beside_it_are_those_of_this_file(mini, about, domain):
    model, tokenizer = mini
    loss = evaluate(model, tokenizer, load().texts(domain, "held_out"), context=512, special=domain in WITH_MARKERS)
    told = about["held_out"][domain]
    assert (loss.tokens, loss.bytes) == (told["tokens"], told["bytes"])
    assert loss.nats_per_token == pytest.approx(told["nats_per_token"], rel=1e-4)


def test_it_has_learned_the_form_of_a_tool_call(mini):
    model, tokenizer = mini
    question = "<|im_user|>user<|im_middle|>What is 12 + 30 + 7?<|im_end|><|im_assistant|>assistant<|im_middle|>"
    prompt = [tokenizer.bos, *tokenizer.encode(question, special=True)]
    (answer,) = km.generate(model, [prompt], max_new_tokens=24, temperature=0.0, eos=tokenizer.eos)
    assert tokenizer.decode(answer).startswith("<|tool_calls_section_begin|><|tool_call_begin|>functions.")
