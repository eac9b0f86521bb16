"""The objectives: by hand, against the closed form of the gradient, and through the one train_step."""

import math

import pytest
import torch

import kimi_mini as km
from kimi_mini.kernels.rows import IGNORE
from kimi_mini.optim import OptimConfig, build_optimizer
from kimi_mini.rl import Rollout
from kimi_mini.rl.advantage import centred, standardised
from kimi_mini.rl.config import RLConfig
from kimi_mini.rl.loss import PolicyBatch, grpo_loss, k2_policy_loss, objective, target_logprobs
from kimi_mini.rl.pack import pack, pack_text
from kimi_mini.train import Batch, StepConfig, next_token_loss, train_step

OWN = torch.tensor([[False, True, True], [False, True, False]])
OLD = torch.tensor([[0.0, -1.0, -2.0], [0.0, -0.5, 0.0]])


def test_the_squared_residual_by_hand():
    new = torch.tensor([[9.0, -0.9, -1.9], [9.0, -0.5, 9.0]])  # what is not the model's own (9.0) may be anything
    total, count = k2_policy_loss(new, OLD, torch.tensor([0.5, -0.5]), OWN, tau=0.5)
    assert total.item() == pytest.approx((0.5 - 0.5 * 0.2) ** 2 + 0.25) and count == 2


def test_grpo_by_hand_on_both_sides_of_the_clip():
    new = OLD + torch.tensor([[0.0, math.log(1.5), math.log(0.9)], [0.0, math.log(0.5), 0.0]])
    total, count = grpo_loss(new, OLD, torch.tensor([1.0, 1.0]), OWN, clip=0.2)
    assert total.item() == pytest.approx(-((1.2 + 0.9) / 2 + 0.5)) and count == 2
    total, _ = grpo_loss(new, OLD, torch.tensor([-1.0, -1.0]), OWN, clip=0.2)
    assert total.item() == pytest.approx((1.5 + 0.9) / 2 + 0.8)


def test_advantages():
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [-0.5, 0.5, 0.0, 0.0]])
    kept = rewards.clone()
    assert torch.equal(centred(rewards)[0], torch.tensor([0.75, -0.25, -0.25, -0.25]))
    assert torch.equal(centred(rewards)[1], torch.zeros(4)), "each group has its own mean"
    assert standardised(rewards)[1].tolist() == [0.0] * 4, "no NaN where all are alike"
    assert standardised(rewards)[0, 0].item() == pytest.approx(0.75 / (math.sqrt(3) / 4), rel=1e-3)
    assert torch.equal(rewards, kept), "rewards are not overwritten"


# ---- the gradient ------------------------------------------------------------------------------------------------------


def answers(model, count=4):
    """A group of answers behind one prompt of three tokens, with a tool's words (not the model's own) in the second."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(3, 7, (count,), generator=generator).tolist()
    made = []
    for number, length in enumerate(lengths):
        tokens = torch.randint(model.config.vocab_size, (length,), generator=generator).tolist()
        mask = [not (number == 1 and place == 1) for place in range(length)]
        logprobs = (-6.0 - torch.rand(length, generator=generator)).tolist()
        made.append(Rollout(tuple(tokens), tuple(logprobs), tuple(mask), 0, True))
    return [[5, 9, 2]] * count, made


def sequence_logprob(model, prompt, rollout):
    """The definition: sum over own tokens, one sequence at a time."""
    logprobs = model(torch.tensor([[*prompt, *rollout.tokens]])).logits_BTV[0].log_softmax(-1)
    places = range(len(prompt) - 1, len(prompt) - 1 + len(rollout.tokens))
    own = [(place, token) for place, token, mine in zip(places, rollout.tokens, rollout.mask, strict=True) if mine]
    return sum(logprobs[place, token] for place, token in own)


def gradient(value, model):
    grads = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    return torch.cat(
        [g.flatten() if g is not None else p.flatten() * 0 for g, p in zip(grads, model.parameters(), strict=True)]
    )


@pytest.mark.parametrize("tau", [0.05, 1.3])
def test_the_gradient_is_that_of_k1_5(tau):
    """-grad L / (2 tau) = mean_i[(r_i - mean r) grad log pi_i - tau / 2 grad (log pi_i / old_i)^2], in float64."""
    torch.manual_seed(0)
    model = km.KimiMini(km.NANO.replace(initializer_range=0.1)).double()
    prompts, rollouts = answers(model)
    advantages = centred(torch.tensor([[1.0, 0.0, -0.5, 1.0]], dtype=torch.float64))[0]
    batch = pack(prompts, rollouts, advantages.tolist())
    batch = batch._replace(advantages_B=advantages, old_logprobs_BT=batch.old_logprobs_BT.double())
    loss_sum, count = objective(RLConfig(tau=tau))(model(batch.tokens_BT, batch.mask_BT).logits_BTV, batch)
    ours = -gradient(loss_sum / count, model) / (2 * tau)

    logprobs = [sequence_logprob(model, prompt, one) for prompt, one in zip(prompts, rollouts, strict=True)]
    # float32 holds the old log-probabilities: read them as the batch does
    old = [float(torch.tensor([p for p, m in zip(o.logprobs, o.mask, strict=True) if m]).double().sum()) for o in rollouts]
    pushes = [a * lp - tau / 2 * (lp - o) ** 2 for a, lp, o in zip(advantages, logprobs, old, strict=True)]
    closed = gradient(sum(pushes) / len(pushes), model)
    assert ours.norm() > 1e-3
    assert (ours - closed).norm() / closed.norm() < 1e-9


def test_at_the_old_policy_tau_is_only_a_scale_and_equal_rewards_teach_nothing():
    torch.manual_seed(0)
    model = km.KimiMini(km.NANO.replace(initializer_range=0.1)).double()
    prompts, rollouts = answers(model)

    def grad(advantages, tau):
        batch = pack(prompts, rollouts, advantages)
        logits = model(batch.tokens_BT, batch.mask_BT).logits_BTV
        old = target_logprobs(logits, batch.targets_BT).detach()
        batch = batch._replace(advantages_B=batch.advantages_B.double(), old_logprobs_BT=old)
        return gradient(objective(RLConfig(tau=tau))(logits, batch)[0], model) / tau

    mixed = [0.75, -0.25, -0.25, -0.25]
    assert torch.allclose(grad(mixed, 0.1), grad(mixed, 2.0), rtol=1e-9)
    assert grad([0.0] * 4, 1.0).abs().max() == 0


# ---- through train_step ------------------------------------------------------------------------------------------------


def nano():
    torch.manual_seed(0)
    model = km.KimiMini(km.NANO.replace(initializer_range=0.1))
    return model, build_optimizer(model, OptimConfig(lr=1e-3))


def test_only_own_tokens_are_targets_and_padding_is_masked():
    model, _ = nano()
    prompts, rollouts = answers(model)
    prompts = [prompt[: 1 + place % 3] for place, prompt in enumerate(prompts)]
    batch = pack(prompts, rollouts, [0.0] * 4)
    for row, (prompt, one) in enumerate(zip(prompts, rollouts, strict=True)):
        asked = batch.targets_BT[row] != IGNORE
        assert batch.targets_BT[row][asked].tolist() == [t for t, mine in zip(one.tokens, one.mask, strict=True) if mine]
        assert batch.old_logprobs_BT[row][asked].tolist() == pytest.approx(
            [p for p, mine in zip(one.logprobs, one.mask, strict=True) if mine]
        )
        assert batch.mask_BT[row].sum() == min(len(prompt) + len(one.tokens), batch.tokens_BT.shape[1])


def test_one_train_step_serves_and_micro_batches_add_up():
    prompts, rollouts = answers(nano()[0])
    advantages, text = [0.75, -0.25, -0.25, -0.25], torch.randint(500, (3, 9), generator=torch.Generator().manual_seed(2))
    reports, gradients = [], []
    for cuts in ([slice(0, 4)], [slice(0, 1), slice(1, 4)]):
        model, optimizer = nano()
        batches = [pack(prompts[cut], rollouts[cut], advantages[cut]) for cut in cuts] + [pack_text(text, 0.5 * 4)]
        reports.append(train_step(model, optimizer, batches, objective(RLConfig(tau=0.3)), StepConfig()))
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert reports[0].count == reports[1].count == 4, "it is answers that are counted"
    assert reports[0].loss == pytest.approx(reports[1].loss, rel=1e-5)
    assert (gradients[0] - gradients[1]).norm() < 1e-5 * gradients[0].norm()


def test_ptx_is_the_mean_next_token_loss_of_the_text_times_its_weight():
    model, optimizer = nano()
    prompts, rollouts = answers(model)
    text = torch.randint(500, (3, 9), generator=torch.Generator().manual_seed(2))
    nats, tokens = next_token_loss(model(text[:, :-1]).logits_BTV, Batch(text[:, :-1], text[:, 1:]))
    answers_alone = pack(prompts, rollouts, [0.5, -0.5, 0.0, 0.0])
    loss_fn = objective(RLConfig(tau=0.3))
    alone = loss_fn(model(answers_alone.tokens_BT, answers_alone.mask_BT).logits_BTV, answers_alone)[0] / 4
    report = train_step(model, optimizer, [answers_alone, pack_text(text, 0.5 * 4)], loss_fn, StepConfig())
    assert report.loss == pytest.approx((alone + 0.5 * nats / tokens).item(), rel=1e-5)


def test_the_old_policy_takes_no_gradient():
    old = OLD.clone().requires_grad_()
    k2_policy_loss(OLD + 0.1, old, torch.tensor([0.5, -0.5]), OWN, tau=0.5)[0].requires_grad_().backward()
    assert old.grad is None


def test_a_batch_is_a_batch():
    assert PolicyBatch._fields[:4] == Batch._fields, "train_step reads these four"
