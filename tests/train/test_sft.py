"""SFT: packed dialogues learn what each would alone, only the assistant's tokens count, and a cut run ends the same."""

import dataclasses
import json
import sys

import pytest
import torch

import kimi_mini as km
from kimi_mini.chat import encode
from kimi_mini.chat.template import END
from kimi_mini.corpus import load_tokenizer
from kimi_mini.kernels.rows import IGNORE
from kimi_mini.optim import OptimConfig
from kimi_mini.train import Dialogue, DialogueStream, TrainConfig, next_token_loss, sft
from kimi_mini.train import step as step_module
from kimi_mini.train.dialogues import batch_of, pack

TOKENIZER = load_tokenizer()
TOOL = {"name": "shop", "description": "Look it up.", "parameters": {"type": "object", "properties": {}}}
CONFIG = TrainConfig(steps=6, sequence_length=136, batch_size=2, checkpoint_every=2, optim=OptimConfig(lr=1e-2))


def _dialogue(number):
    call = {"id": "functions.shop:0", "arguments": {"item": "lamp", "count": number}}
    messages = [
        {"role": "user", "content": f"How much are {number} lamps?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "functions.shop:0", "content": f"{number * 7}"},
        {"role": "assistant", "content": f"They cost {number * 7} coins."},
    ]
    return Dialogue(messages[: 2 + 2 * (number % 2)], [TOOL] if number % 3 else [])


DIALOGUES = [_dialogue(number) for number in range(9)]
LONG = Dialogue([{"role": "user", "content": "x y " * 120}, {"role": "assistant", "content": "no"}])
SILENT = Dialogue([{"role": "user", "content": "anybody?"}])


def _model(dtype=torch.float32):
    torch.manual_seed(0)
    return km.KimiMini(km.NANO.replace(vocab_size=TOKENIZER.vocab_size), dtype).to(dtype)


def _loss(model, batch):
    logits_BTV = model(batch.tokens_BT, batch.mask_BT, batch.positions).logits_BTV
    return next_token_loss(logits_BTV, batch)


def test_packed_rows_lose_what_the_dialogues_lose_alone():
    model = _model(torch.float64)
    encoded = [encode(*one, TOKENIZER) for one in DIALOGUES]
    rows = pack(encoded, 200)
    assert sorted(place for row in rows for place in row) == list(range(9)) and max(map(len, rows)) > 2
    packed, count = _loss(model, batch_of([[encoded[place] for place in row] for row in rows], 200, TOKENIZER.pad))
    alone = [_loss(model, batch_of([[one]], len(one.tokens) - 1, TOKENIZER.pad)) for one in encoded]
    assert count == sum(number for _, number in alone)
    assert packed.item() == pytest.approx(sum(loss.item() for loss, _ in alone), abs=1e-9)


def test_targets_are_the_assistants_words_and_its_end():
    row = [encode(*one, TOKENIZER) for one in DIALOGUES[1:3]]
    batch = batch_of([row], 256, TOKENIZER.pad)
    learned = batch.targets_BT[batch.targets_BT != IGNORE].tolist()
    text = TOKENIZER.decode(learned)
    assert text.count("functions.shop:0") == 2 and "They cost 7 coins." in text
    assert "How much" not in text and "Return of" not in text and "Look it up" not in text
    assert learned.count(TOKENIZER.id(END)) == 3, "each message of the assistant ends by its own token"
    ids, positions = batch.mask_BT[0], batch.positions[0]
    assert ids.unique().tolist() == [0, 1, 2] and (batch.targets_BT[0][ids == 0] == IGNORE).all()
    for number, one in enumerate(row, start=1):
        assert positions[ids == number].tolist() == list(range(len(one.tokens) - 1))
        assert batch.tokens_BT[0][ids == number].tolist() == one.tokens[:-1]
    boundary = int((ids == 1).sum())
    assert batch.targets_BT[0, boundary - 1] == row[0].tokens[-1], "a document's last target is its own, not the next's first"


def test_too_long_and_silent_dialogues_are_counted_and_refused_where_nothing_is_left():
    stream = DialogueStream([*DIALOGUES, LONG, SILENT], TOKENIZER, sequence_length=136, batch_size=2, seed=0)
    assert (len(stream.encoded), stream.dropped) == (9, 2)
    with pytest.raises(ValueError, match="at most 137 tokens in which the assistant speaks"):
        DialogueStream([LONG, SILENT], TOKENIZER, sequence_length=136, batch_size=2, seed=0)
    with pytest.raises(ValueError, match=r"tokens of dialogue 1 = \d+ will not do; expected at most 137"):
        pack([encode(*one, TOKENIZER) for one in (DIALOGUES[0], LONG)], 136)


def test_every_epoch_reads_every_dialogue_once():
    stream = DialogueStream(DIALOGUES, TOKENIZER, sequence_length=136, batch_size=1, seed=3)
    for epoch in range(2):
        batches = [stream.batch(epoch * len(stream.rows) + row) for row in range(len(stream.rows))]
        starts = sum(int((batch.tokens_BT == TOKENIZER.bos).sum()) for batch in batches)
        assert starts == 9


def test_a_cursor_of_other_dialogues_is_refused():
    stream = DialogueStream(DIALOGUES, TOKENIZER, sequence_length=136, batch_size=1, seed=3)
    other = DialogueStream(DIALOGUES[1:], TOKENIZER, sequence_length=136, batch_size=1, seed=3)
    with pytest.raises(ValueError, match="the data cursor belongs to other data.*sha256"):
        other.load_state(stream.state())


def test_it_learns_and_the_same_call_gives_the_same_weights():
    models = [_model(), _model()]
    tuned = [sft(model, TOKENIZER, [*DIALOGUES, LONG], CONFIG, progress=False) for model in models]
    assert tuned[0] == tuned[1] and len(tuned[0].losses) == 6 and (tuned[0].dialogues, tuned[0].dropped) == (9, 1)
    assert tuned[0].losses[-1] < tuned[0].losses[0] - 0.5
    assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in models), strict=True))


def test_a_run_that_broke_goes_on_from_its_checkpoint_to_the_same_end(tmp_path, monkeypatch):
    whole, broken = _model(), _model()
    losses = sft(whole, TOKENIZER, DIALOGUES, CONFIG, progress=False).losses
    real, calls = step_module.train_step, []

    def fail_at_fifth(*arguments):
        calls.append(None)
        if len(calls) == 5:
            raise MemoryError
        return real(*arguments)

    monkeypatch.setattr(sys.modules["kimi_mini.train.pretrain"], "train_step", fail_at_fifth)
    with pytest.raises(MemoryError):
        sft(broken, TOKENIZER, DIALOGUES, CONFIG, tmp_path, progress=False)
    again = _model()
    assert sft(again, TOKENIZER, DIALOGUES, CONFIG, tmp_path, progress=False).losses == losses
    assert len(calls) == 5 + 2, "updates 5 and 6"
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
    lines = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == list(range(1, 7))


def test_rows_longer_than_the_model_are_refused_by_name():
    with pytest.raises(ValueError, match="sequence_length = 1024 will not do; expected at most 512"):
        sft(_model(), TOKENIZER, DIALOGUES, dataclasses.replace(CONFIG, sequence_length=1024), progress=False)
