"""TokenStream: every target once an epoch, batch i from (seed, i) alone, a cursor that knows its text, bad texts named."""

import numpy as np
import pytest
import torch

from kimi_mini.train import TokenStream


def _stream(tokens=None, **changes):
    tokens = torch.arange(61) if tokens is None else tokens
    return TokenStream(tokens, **{"sequence_length": 6, "batch_size": 2, "seed": 3, "vocab_size": 100, **changes})


def _same(a, b):
    return torch.equal(a.tokens_BT, b.tokens_BT) and torch.equal(a.targets_BT, b.targets_BT)


def test_each_epoch_asks_for_every_token_but_the_first_once():
    stream = _stream()  # 10 windows, 5 batches an epoch
    for epoch in range(3):
        targets = torch.cat([stream.batch(5 * epoch + i).targets_BT for i in range(5)])
        assert targets.flatten().sort().values.tolist() == list(range(1, 61))


def test_targets_are_the_tokens_that_follow():
    batch = _stream().batch(4)
    assert batch.tokens_BT.shape == batch.targets_BT.shape == (2, 6)
    assert batch.tokens_BT.dtype == batch.targets_BT.dtype == torch.int64
    assert torch.equal(batch.targets_BT, batch.tokens_BT + 1)  # the text counts upwards


def test_a_batch_depends_on_seed_and_number_only():
    in_order = [batch for batch, _ in zip(_stream(), range(23), strict=False)]
    torch.manual_seed(99)
    np.random.seed(99)
    stream = _stream()
    for i in (22, 0, 7, 7, 13):
        assert _same(stream.batch(i), in_order[i])
    assert not all(_same(_stream(seed=4).batch(i), in_order[i]) for i in range(5))


def test_epochs_differ_in_order_and_batches_may_straddle_them():
    stream = _stream(batch_size=3)  # 10 windows: batch 3 has one row of the first epoch and two of the second
    rows = torch.cat([stream.batch(i).tokens_BT for i in range(20)])[:, 0].unflatten(0, (6, 10))
    assert all(epoch.sort().values.tolist() == list(range(0, 60, 6)) for epoch in rows)
    assert len({tuple(epoch.tolist()) for epoch in rows}) == 6


def test_a_text_smaller_than_a_batch_repeats():
    assert _stream(torch.arange(7), batch_size=4).batch(0).tokens_BT.tolist() == [list(range(6))] * 4


def test_the_cursor_goes_on_where_it_was_taken():
    stream = _stream()
    for _ in range(8):
        next(stream)
    state = stream.state()
    expected = [next(stream) for _ in range(9)]
    other = _stream()
    other.load_state(state)
    assert all(_same(next(other), batch) for batch in expected)
    assert other.state() == stream.state() != state


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
def test_formats_and_mapped_files_are_the_same_text(tmp_path, dtype):
    path = tmp_path / "tokens.npy"
    np.save(path, np.arange(61, dtype=dtype))
    mapped = _stream(path)
    assert isinstance(mapped.tokens, np.memmap)
    assert mapped.state() == _stream().state()
    assert all(_same(mapped.batch(i), _stream().batch(i)) for i in range(12))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 4}, "seed = 3 .*4"),
        ({"sequence_length": 5}, "sequence_length = 6 .*5"),
        ({"batch_size": 1}, "batch_size = 2 .*1"),
        ({"tokens": torch.arange(62)}, "tokens = 61 .*62"),
        ({"tokens": torch.arange(61).flip(0)}, "sha256"),
    ],
)
def test_a_cursor_of_other_data_is_refused(changes, named):
    other = _stream(**changes)
    with pytest.raises(ValueError, match=named):
        other.load_state(_stream().state())


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.arange(6), "6 tokens; expected at least sequence_length . 1 = 7"),
        (torch.zeros(0, dtype=torch.long), "0 tokens"),
        (torch.rand(50), "float32 of shape .50."),
        (torch.ones(50, dtype=torch.bool), "bool of shape"),
        (torch.zeros(5, 10, dtype=torch.long), r"int64 of shape \[5, 10\]"),
        ([1, 2, 3] * 20, "is a list"),
        (torch.tensor([0, 1, 2, 99, 100, 3, 4, 5]), "token 4 of the text is 100; the vocabulary has ids 0 to 99"),
        (torch.tensor([0, 1, 2, 99, 3, 4, -1, 5]), "token 6 of the text is -1"),
    ],
)
def test_texts_that_will_not_do(tokens, message):
    with pytest.raises(ValueError, match=message):
        _stream(tokens)


@pytest.mark.parametrize(("field", "value"), [("sequence_length", 0), ("batch_size", -1), ("seed", -1), ("vocab_size", 2.5)])
def test_settings_that_will_not_do(field, value):
    with pytest.raises(ValueError, match=f"{field} = {value}"):
        _stream(**{field: value})


def test_files_that_will_not_do(tmp_path):
    with pytest.raises(ValueError, match="no file .*absent.npy"):
        _stream(tmp_path / "absent.npy")
    path = tmp_path / "tokens.npy"
    np.save(path, np.arange(61, dtype=np.uint16))
    whole = path.read_bytes()
    for content in (whole[:-20], whole[:40], b"", b"not an array at all"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="tokens.npy cannot be read"):
            _stream(path)
    np.save(path, np.array([print, 1], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="tokens.npy cannot be read"):
        _stream(path)
