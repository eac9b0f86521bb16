"""K2's objective for one group of answers, and its gradient."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def objective(logprobs_GT, old_GT, own_GT, advantages_G, tau):
    """K2's RL objective for the answers to one problem, and its gradient (K2 report, section 3.2.3).

    logprobs_GT     [answers, tokens], log-probability of every token under the policy that learns
    old_GT          the same under the policy that drew the answers, which is a constant; None where the two are still the
                    same: then the old log-probabilities have the values of `logprobs_GT`
    own_GT          True for the tokens that the model wrote: the prompt and what a tool said are not the model's
    advantages_G    reward less the mean reward of the group
    tau             weight of the pull to the old policy

        log pi(y)   the sum of the log-probabilities of the answer's own tokens
        loss        mean over the answers of   (advantage - tau * (log pi(y) - log pi_old(y))) ^ 2
        gradient    of the loss with respect to logprobs_GT

    Checks run with gradients switched off: write the gradient down, or use torch.enable_grad().
    Returns (loss, gradient_GT).
    """
    with torch.enable_grad():
        new_GT = logprobs_GT.detach().requires_grad_()
        before_GT = new_GT.detach() if old_GT is None else old_GT
        log_ratio_G = ((new_GT - before_GT) * own_GT).sum(1)
        residual_G = advantages_G - tau * log_ratio_G
        loss = residual_G.square().mean()
        (gradient_GT,) = torch.autograd.grad(loss, new_GT)
    return loss.detach(), gradient_GT
'''

PACKAGE = """
import torch

from kimi_mini.rl.loss import k2_policy_loss


def objective(logprobs_GT, old_GT, own_GT, advantages_G, tau):
    with torch.enable_grad():
        new_GT = logprobs_GT.detach().requires_grad_()
        before_GT = logprobs_GT if old_GT is None else old_GT
        total, count = k2_policy_loss(new_GT, before_GT, advantages_G, own_GT, tau)
        (gradient_GT,) = torch.autograd.grad(total / count, new_GT)
    return (total / count).detach(), gradient_GT
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Groups at the first update and later, with prompts and tool output among the tokens, right, wrong and all alike."""
    gen = torch.Generator().manual_seed(seed)

    def logprobs(answers: int, tokens: int) -> torch.Tensor:
        return -2 * torch.rand(answers, tokens, generator=gen, dtype=torch.float64) - 0.05

    def own(answers: int, tokens: int, prompt: int) -> torch.Tensor:
        own_GT = torch.arange(tokens).expand(answers, tokens) >= prompt
        ends_G = torch.randint(prompt + 1, tokens + 1, (answers,), generator=gen)
        return own_GT & (torch.arange(tokens) < ends_G[:, None])

    def case(name: str, rewards: list[float], tokens: int, prompt: int, tau: float, *, first: bool = False) -> Case:
        rewards_G = torch.tensor(rewards, dtype=torch.float64)
        size = len(rewards)
        new_GT, own_GT = logprobs(size, tokens), own(size, tokens, prompt)
        old_GT = None if first else new_GT + 0.6 * torch.randn(size, tokens, generator=gen, dtype=torch.float64)
        return Case(name, (new_GT, old_GT, own_GT, rewards_G - rewards_G.mean(), tau))

    return (
        case("the first update: old and new are the same", [1, 0, 0, 1], 6, 2, 0.2, first=True),
        case("a later update, no prompt", [1, 0, 0, 0], 4, 0, 0.3),
        case("a later update, behind a prompt", [1, 1, 0, 1, 0, 0], 7, 3, 0.5),
        case("all right: only the pull is left", [1, 1, 1], 5, 1, 0.4),
        case("one failure among eight", [0, 1, 1, 1, 1, 1, 1, 1], 5, 2, 0.05),
    )


_RATIO = "log_ratio_G = ((new_GT - before_GT) * own_GT).sum(1)"
_RESIDUAL = "residual_G = advantages_G - tau * log_ratio_G"
_RETURN = "return loss.detach(), gradient_GT"

PRACTICE = Variant(
    "squared residual",
    SOLUTION,
    cases,
    (
        Mistake(
            "sign",
            _RETURN,
            "return loss.detach(), -gradient_GT",
            "The gradient has the wrong sign: it is that of the loss, and going down makes answers with a positive advantage "
            "more likely.",
        ),
        Mistake(
            "prompt tokens in the log-probability",
            "((new_GT - before_GT) * own_GT).sum(1)",
            "(new_GT - before_GT).sum(1)",
            "Tokens that the model did not write are in the log-probability: the prompt, or what a tool said. Use `own_GT`.",
        ),
        Mistake(
            "old policy not detached",
            "new_GT.detach() if old_GT is None",
            "new_GT if old_GT is None",
            "The gradient flows into the old policy too. Where old and new are the same it is then 0, and nothing is learned: "
            "the old policy is a constant, detach it.",
        ),
        Mistake(
            "ratio upside down",
            "(new_GT - before_GT)",
            "(before_GT - new_GT)",
            "The ratio is upside down: it is new over old, so the logarithms are new less old. The other way pushes away.",
        ),
        Mistake(
            "factor 2 tau",
            _RETURN,
            "return loss.detach(), gradient_GT / (2 * tau)",
            "The gradient lacks the factor 2 tau: the square gives 2, and the log-ratio stands there times tau.",
        ),
        Mistake(
            "without the pull",
            _RESIDUAL,
            "residual_G = advantages_G - log_ratio_G",
            "The log-ratio was not multiplied by tau.",
        ),
        Mistake(
            "mean over the tokens",
            ".sum(1)",
            ".sum(1) / own_GT.sum(1)",
            "The log-probability of an answer is the sum over its tokens, not their mean.",
        ),
        Mistake(
            "sum over the answers",
            "loss = residual_G.square().mean()",
            "loss = residual_G.square().sum()",
            "The loss is the mean over the answers, not their sum.",
        ),
        Mistake(
            "every token by itself",
            "loss = residual_G.square().mean()",
            "loss = ((advantages_G[:, None] - tau * (new_GT - before_GT)).square() * own_GT).sum() / len(residual_G)",
            "Every token got a residual of its own. The square is taken of a whole answer.",
        ),
    ),
)

OBJECTIVE = Coding(
    "objective",
    "Objective and its gradient",
    minutes=40,
    difficulty=3,
    points=6,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "by length",
            "log pi(y) is the *mean* of the log-probabilities of the answer's own tokens, not their sum.",
            (
                "log pi(y)   the sum of the log-probabilities of the answer's own tokens",
                "log pi(y)   the mean of the log-probabilities of the answer's own tokens",
            ),
            ("* own_GT).sum(1)", "* own_GT).sum(1) / own_GT.sum(1)"),
            also=(
                Mistake(
                    "the sum",
                    "* own_GT).sum(1) / own_GT.sum(1)",
                    "* own_GT).sum(1)",
                    "The log-probability of an answer is the mean over its own tokens here.",
                ),
                Mistake(
                    "divided by the prompt too",
                    "/ own_GT.sum(1)",
                    "/ own_GT.shape[1]",
                    "The sum was divided by all tokens. Divide by the answer's own.",
                ),
            ),
            besides=("prompt tokens in the log-probability", "mean over the tokens"),
        ),
        twist(
            PRACTICE,
            "a bounded pull",
            "The log-ratio of an answer is cut to lie between -1 and 1 before it enters the residual; where it is cut, no "
            "gradient flows.",
            (
                "        gradient    of the loss",
                "        cut         the log-ratio, log pi(y) - log pi_old(y), is cut to [-1, 1] first\n"
                "        gradient    of the loss",
            ),
            (_RESIDUAL, "residual_G = advantages_G - tau * log_ratio_G.clamp(-1, 1)"),
            also=(
                Mistake(
                    "cut token by token",
                    "* own_GT).sum(1)",
                    "* own_GT).clamp(-1, 1).sum(1)",
                    "The log-ratio of every token was cut. Cut that of the whole answer.",
                ),
                Mistake(
                    "not cut",
                    ".clamp(-1, 1)\n",
                    "\n",
                    "The log-ratio was not cut.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "twice the pull on the wrong",
            "tau counts double for answers whose advantage is below 0.",
            (
                "        loss        mean over",
                "        tau         twice as large for an answer whose advantage is below 0\n        loss        mean over",
            ),
            (_RESIDUAL, "residual_G = advantages_G - tau * (1 + (advantages_G < 0).double()) * log_ratio_G"),
            also=(
                Mistake(
                    "twice for all",
                    "(1 + (advantages_G < 0).double())",
                    "2",
                    "tau was doubled for all answers. Only those with a negative advantage are pulled twice as hard.",
                ),
                Mistake(
                    "twice for the right",
                    "(advantages_G < 0)",
                    "(advantages_G > 0)",
                    "tau was doubled for the answers above the mean. It is doubled below.",
                ),
            ),
        ),
    ),
)
