"""What six updates on the same answers did, for five values of tau and three seeds."""

from kimi_mini.dev import ROOT
from kimi_mini.viz import rewards
from runs import pull


def test_a_larger_tau_keeps_the_policy_nearer_in_every_seed():
    pulls = rewards.load_pulls(ROOT / pull.FOLDER)
    assert pulls.taus == list(pull.TAUS) and len(pulls.divergence_ST) == len(pull.SEEDS)
    for divergence_T in pulls.divergence_ST:
        assert all(a > b for a, b in zip(divergence_T, divergence_T[1:], strict=False))
    assert pulls.divergence_ST[:, 0].min() > 20 * pulls.divergence_ST[:, -1].max()
