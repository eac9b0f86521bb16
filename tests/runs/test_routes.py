"""The run behind the routes: each point is one file, is made once, and says again what it said before."""

import json

import numpy as np
import pytest
import torch

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.dev import ROOT
from kimi_mini.hub.mini import weights_sha256
from kimi_mini.viz.routing_runs import unpack_scores
from runs import routes


@pytest.fixture(scope="module")
def text():
    return corpus.load()


@pytest.fixture(scope="module")
def model():
    return km.load_mini()[0]


def read(point):
    return json.loads((ROOT / routes.FOLDER / f"{point}.json").read_text(encoding="utf-8"))


def test_a_point_is_made_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(routes, "record", lambda point, model, text: {"point": point})
    routes.main(["--out", str(tmp_path)])
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    routes.main(["--out", str(tmp_path)])
    capsys.readouterr()
    routes.main(["--out", str(tmp_path), "--list"])
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before and len(before) == 7
    assert capsys.readouterr().out.split()[::2] == ["done"] * 7


@pytest.mark.parametrize("point", routes.points())
def test_a_recorded_row_is_whole_and_of_this_mini(point):
    row = read(point)
    assert row["weights"] == weights_sha256(corpus.files.data_folder()), "MINI was retrained: python -m runs.routes again"
    assert row["seconds"] < 600 and (row["experts"], row["chosen_per_token"]) == (32, 4)
    if point in routes.DOMAINS:
        assert len(row["sentences"]) == routes.SENTENCES
        for sentence in row["sentences"]:
            assert routes.SHORTEST <= len(sentence["words"]) == len(sentence["tokens"]) <= routes.LONGEST
            scores = unpack_scores(sentence["scores"], (4, len(sentence["words"]), 32))
            assert scores.min() > 0 and scores.max() < 1
    else:
        assert all(len(each) == 5 for each in row["shares"].values())


@pytest.mark.parametrize("domain", routes.DOMAINS)
def test_a_recorded_sentence_can_be_made_again(domain, model):
    for sentence in read(domain)["sentences"][:2]:
        heard = routes.routes(model, torch.tensor([sentence["before"] + sentence["tokens"]]))
        begin = len(sentence["before"])
        told = unpack_scores(sentence["scores"], (4, len(sentence["words"]), 32))
        for layer, routing in enumerate(heard):
            assert routing.score_TE[begin:].numpy() == pytest.approx(told[layer], abs=1e-4)


def test_sentences_are_of_held_out_text_and_stand_where_they_were_found(text):
    for domain in routes.DOMAINS:
        starts = {tuple(window[:8].tolist()) for window in routes.windows(text, domain, 3 * routes.SENTENCES)}
        for sentence in read(domain)["sentences"]:
            assert tuple(sentence["before"][:8]) in starts and len(sentence["before"]) >= routes.CONTEXT
            assert [text.tokenizer.decode([token]) for token in sentence["tokens"]] == sentence["words"]


def test_a_sentence_begins_after_an_end_and_ends_at_one():
    words = ["a", "."] * 32 + ["\n", " b"] + ["c"] * 10 + ["."] + ["d"] * 30
    begin, end = routes.sentence_in(words)
    assert words[begin:end] == [" b"] + ["c"] * 10 + ["."]
    assert routes.sentence_in(["a"] * 100) is None


def test_listening_ends(model):
    tokens_BT = torch.zeros(1, 3, dtype=torch.long)
    with routes.listening(model) as heard:
        model.trunk(tokens_BT)
    model.trunk(tokens_BT)
    assert len(heard) == 4 and heard[0].score_TE.shape == (3, 32)


def test_choices_count_four_experts_a_token(model, text):
    choice_LNE, known = routes.choices(model, text, 2)
    assert choice_LNE.shape == (4, 4 * 2 * routes.LENGTH, 32) and (choice_LNE.sum(2) == 4).all()
    assert set(map(len, known.values())) == {choice_LNE.shape[1]}
    assert known["before"][1 : routes.LENGTH].tolist() == known["token"][: routes.LENGTH - 1].tolist()
    assert np.bincount(known["domain"]).tolist() == [2 * routes.LENGTH] * 4
    assert known["before"][0] == text.tokenizer.bos


@pytest.mark.slow
def test_a_recorded_measure_can_be_made_again(model, text):
    told = read("shares-10")["shares"]
    again = routes.record_shares(10, model, text)["shares"]
    for name, layers in told.items():
        assert [each["value"] for each in again[name]] == pytest.approx([each["value"] for each in layers], abs=0.005)
