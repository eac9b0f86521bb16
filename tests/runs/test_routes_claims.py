"""What MINI's routes, fresh weights and the estimate of the scaling factor say about the claims."""

import numpy as np
import pytest
import torch

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.dev import ROOT
from kimi_mini.model import gate_scale
from kimi_mini.viz import routing
from runs import routes


@pytest.fixture(scope="module")
def recorded():
    return routing.load_routes(ROOT / routes.FOLDER)


@pytest.fixture(scope="module")
def text():
    return corpus.load()


def test_a_lifted_expert_is_chosen_everywhere_and_keeps_its_own_weight(recorded):
    for row in recorded[0]:
        for index in range(3):
            for layer in (1, 2, 3, 4):
                place = {"domain": row["domain"], "index": index, "layer": layer}
                for expert in range(0, 32, 5):
                    usual = routing.reroute(recorded[0], **place, expert=expert)
                    lifted = routing.reroute(recorded[0], **place, expert=expert, lift=1.0)
                    assert (lifted.expert_TK == expert).any(1).all()
                    before_T = (usual.expert_TK == expert).any(1)
                    loud = lifted.weight_TK[lifted.expert_TK == expert]
                    assert loud[before_T] == pytest.approx(usual.weight_TK[usual.expert_TK == expert], abs=1e-12)
                    assert torch.equal(lifted.score_TE, usual.score_TE)


@pytest.mark.parametrize(
    ("experts", "chosen", "factor"), [(384, 8, 2.8276), (256, 8, 2.8273), (64, 6, 2.4463), (32, 4, 1.9964)]
)
def test_the_scaling_factor_is_estimated_under_the_root_of_k(experts, chosen, factor):
    estimates = [gate_scale(experts, chosen, seed=seed) for seed in range(3)]
    assert np.mean(estimates) == pytest.approx(factor, abs=1e-4)
    assert max(estimates) < chosen**0.5


def test_the_estimate_nears_the_root_as_experts_are_added():
    rising = [gate_scale(experts, 8, tokens=4000) for experts in (8, 16, 64, 384)]
    assert rising == sorted(rising) and rising[0] < 0.94 * 8**0.5 and rising[-1] > 0.999 * 8**0.5


def test_a_sum_of_independent_answers_of_size_one_has_size_one():
    generator = torch.Generator().manual_seed(0)
    score_TK = torch.sigmoid(torch.randn(4000, 384, generator=generator)).topk(8).values
    weight_TK = gate_scale(384, 8) * score_TK / score_TK.sum(1, keepdim=True)
    summed_TD = torch.einsum("tk,tkd->td", weight_TK, torch.randn(4000, 8, 16, generator=generator))
    assert summed_TD.square().mean().sqrt().item() == pytest.approx(1, abs=0.01)


def test_the_estimate_refuses_more_chosen_than_there_are():
    with pytest.raises(ValueError, match="num_experts_per_tok = 9 .*n_routed_experts = 8"):
        gate_scale(8, 9)


def test_with_fresh_weights_the_routed_sum_is_as_large_as_one_answer(text):
    tokens_BT = torch.from_numpy(routes.windows(text, "plays", 1))
    for seed in range(3):
        torch.manual_seed(seed)
        for routed, single in routes.loudness(km.KimiMini(km.MINI), tokens_BT):
            assert routed / single == pytest.approx(1, abs=0.03)


def test_in_trained_mini_the_routed_sum_is_larger_than_one_answer(text):
    model, _ = km.load_mini()
    for domain in routes.DOMAINS:
        for routed, single in routes.loudness(model, torch.from_numpy(routes.windows(text, domain, 2))):
            assert 1.15 < routed / single < 1.9


def test_tokens_foretell_choices_better_than_domains_in_every_layer(recorded):
    for row in recorded[1].values():
        token, domain = row["shares"]["token"], row["shares"]["domain"]
        assert all(a["low"] > 1.5 * b["high"] for a, b in zip(token, domain, strict=True))
        for name in ("shuffled token", "shuffled domain"):
            assert all(-0.05 < each["value"] < 0.001 for each in row["shares"][name])


def test_kinds_of_tokens_foretell_no_more_than_domains_over_all_layers(recorded):
    kinds, domain = recorded[1][60]["shares"]["kind"], recorded[1][60]["shares"]["domain"]
    assert kinds[-1]["low"] < domain[-1]["high"] and kinds[3]["high"] < domain[3]["low"]


def test_one_expert_takes_every_digit_and_hardly_anything_else(recorded):
    for row in recorded[0]:
        for sentence in row["sentences"]:
            took = [16 in chosen for chosen in sentence["chosen"][0]]  # layer 1
            assert took == [word.strip().isdigit() for word in sentence["words"]]
