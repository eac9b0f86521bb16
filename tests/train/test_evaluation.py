"""evaluate: the definition document by document, each token once, and bits per byte of the bytes that were there."""

import math

import pytest
import torch

import kimi_mini as km
from kimi_mini.train.evaluation import evaluate

TEXTS = ["a first text, with 12 and é", "x", "another one that is a good deal longer than the first: 漢字 " * 3]
TOKENIZER = km.Tokenizer.train(TEXTS, 280)


def make_model(scale=0.2):
    torch.manual_seed(0)
    return km.KimiMini(km.NANO.replace(vocab_size=TOKENIZER.vocab_size, initializer_range=scale)).double()


@torch.no_grad()
def nats_by_definition(model, text, context):
    ids, nats = [TOKENIZER.bos, *TOKENIZER.encode(text)], 0.0
    for i in range(1, len(ids)):
        start = (i - 1) // context * context
        log_probs_V = model(torch.tensor([ids[start:i]])).logits_BTV[0, -1].log_softmax(-1)
        nats -= log_probs_V[ids[i]].item()
    return nats


@pytest.mark.parametrize("context, batch_size", [(512, 16), (512, 1), (7, 4), (1, 1)])
def test_every_token_is_foretold_once_from_its_window(context, batch_size):
    model = make_model()
    found = evaluate(model, TOKENIZER, TEXTS, context=context, batch_size=batch_size)
    assert found.nats == pytest.approx(sum(nats_by_definition(model, text, context) for text in TEXTS), rel=1e-12)
    assert found.tokens == sum(len(TOKENIZER.encode(text)) for text in TEXTS)
    assert found.bytes == sum(len(text.encode()) for text in TEXTS)


def test_a_model_that_knows_nothing_costs_log_v():
    model = make_model(1e-9)
    found = evaluate(model, TOKENIZER, TEXTS)
    assert found.nats_per_token == pytest.approx(math.log(TOKENIZER.vocab_size), rel=1e-6)
    assert found.bits_per_byte == pytest.approx(found.tokens * math.log2(TOKENIZER.vocab_size) / found.bytes, rel=1e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"texts": []}, "texts = .* at least one text"),
        ({"texts": [""]}, "texts = .* at least one text"),
        ({"context": 0}, "context = 0 .* 1 to max_position_embeddings = 512"),
        ({"context": 513}, "context = 513"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        evaluate(make_model(), TOKENIZER, **{"texts": TEXTS} | change)
