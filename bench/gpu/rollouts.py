"""G14 and G15: answers of a model of about 1 B weights, many at a time, and an iteration of GRPO around them.

Legend: B sequences, N new tokens, T tokens, V vocabulary.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import kimi_mini as km
from kimi_mini.accounting import attention_parameters, cache_elements, expert_parameters, prefill_flops
from kimi_mini.chat import prompt
from kimi_mini.hub import hf_slots
from kimi_mini.kernels.work import BF16, Work
from kimi_mini.model import LatentCache
from kimi_mini.optim import OptimConfig, build_optimizer
from kimi_mini.rl import Problem, RLConfig, Rollout, Score
from kimi_mini.rl.sampler import draw_rollouts
from kimi_mini.rl.step import Rows, learn
from kimi_mini.train import StepConfig

from ..harness import Case
from . import whole
from .common import OURS, Results, Way, fast_format, make_case

EAGER, HF, HF_STATIC = "ours, generate", "transformers generate", "transformers generate, static cache"
LOOP = "the same loop on transformers generate"
_PIECE = 16  # sequences per pass of the check


# ---- G14 -------------------------------------------------------------------------------------------------------------


def build(device: torch.device, *, batch: int, prompt: int, new: int, static: int = 0, **shape: int) -> Case:
    """Random prompts of one length, the most likely token each time, exactly `new` of them."""
    compute = fast_format(device)
    model = whole.our_model(whole.config(**shape), device, compute).to(compute).eval()
    hf = whole.hf_model(model, compute).eval()
    prompts_BT = torch.randint(shape["vocab"], (batch, prompt), device=device)
    decoder = GraphDecoder(model, batch, prompt + new)

    def eager() -> Tensor:
        return torch.tensor(km.generate(model, prompts_BT.tolist(), max_new_tokens=new), device=device)

    ways: dict[str, Callable[[], Tensor]] = {OURS: lambda: decoder.generate(prompts_BT, new)}
    if static:
        ways[HF_STATIC] = lambda: hf_generate(hf, prompts_BT, new, do_sample=False, cache_implementation="static")
    else:
        ways |= {EAGER: eager, HF: lambda: hf_generate(hf, prompts_BT, new, do_sample=False)}
    referee = copy.deepcopy(model).float()
    referee.compute_dtype = None

    def regret(answers_BN: Tensor, _: Tensor) -> float:
        """Mean of how much less likely than the best one each token is, in nats, to an fp32 pass over all that is before it."""
        return _regret(referee, prompts_BT, answers_BN)

    made: dict[str, Way] = {name: lambda way=way: {"regret": way()} for name, way in ways.items()}
    notes = {"new tokens": batch * new, "CUDA graph": float(decoder.graph is not None)}
    return make_case(made, lambda: {"regret": prompts_BT}, metrics={"regret": regret}, notes=notes)


def work(*, batch: int, prompt: int, new: int, static: int = 0, **shape: int) -> Work:
    """The prompt's FLOPs, then per step the bytes of the weights that are used and of the cache; all in bf16."""
    c = whole.config(**shape)
    weights = BF16 * used_weights(c, batch)
    prefill = Work(batch * prompt * prefill_flops(c, prompt).total, weights)
    cached = BF16 * batch * cache_elements(c) * c.num_hidden_layers * (prompt + new / 2)
    return prefill + Work(0, (new - 1) * (weights + cached))


def used_weights(c: km.ModelConfig, tokens: int) -> float:
    """Weights that a step of so many tokens reads: all but the input embedding and the experts that nobody chose, if choices
    are even and independent."""
    hit = c.n_routed_experts * (1 - (1 - c.num_experts_per_tok / c.n_routed_experts) ** tokens)
    experts = c.num_moe_layers * (hit + c.n_shared_experts) * expert_parameters(c)
    dense = c.first_k_dense_replace * 3 * c.hidden_size * c.intermediate_size
    return c.num_hidden_layers * attention_parameters(c) + experts + dense + c.vocab_size * c.hidden_size


class GraphDecoder:
    """Greedy decoding of a fixed batch, each step a replay of a CUDA graph (on a CPU, or where none can be made, a call).

    The cache is as long as it will ever be from the start; what a sequence may see of it is counted on the device.
    """

    def __init__(self, model: km.KimiMini, batch: int, capacity: int) -> None:
        device = model.embed.weight.device
        self.model, self.capacity = model, capacity
        self.cache = LatentCache(model.config, batch, capacity, model.compute_dtype, device)
        self.token_B1 = torch.zeros(batch, 1, dtype=torch.long, device=device)
        self.graph = self._record() if device.type == "cuda" else None

    @torch.inference_mode()
    def generate(self, prompts_BT: Tensor, new: int) -> Tensor:
        """The `new` tokens after each prompt, answers_BN."""
        self.cache.lengths_B.zero_()
        self.cache.used = 0
        hidden_BTD, _ = self.model.trunk(prompts_BT, cache=self.cache)
        self.token_B1.copy_(self._best(hidden_BTD[:, -1:]))
        answers = [self.token_B1.clone()]
        for _ in range(new - 1):
            self.graph.replay() if self.graph is not None else self.step()
            answers.append(self.token_B1.clone())
        return torch.cat(answers, 1)

    def step(self) -> None:
        """One more token for each sequence; waits for nothing."""
        self.cache.used = self.capacity - 1  # the attention gets the whole cache, and sees of it what is written
        hidden_B1D, _ = self.model.trunk(self.token_B1, cache=self.cache)
        self.token_B1.copy_(self._best(hidden_B1D))

    def _best(self, hidden_B1D: Tensor) -> Tensor:
        return self.model.logits(hidden_B1D).argmax(-1)

    @torch.inference_mode()
    def _record(self) -> torch.cuda.CUDAGraph | None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.step()
                self.cache.lengths_B.zero_()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self.step()
        except RuntimeError as error:
            print(f"no CUDA graph: {str(error).splitlines()[0]}")
            return None
        return graph


def hf_generate(hf: nn.Module, prompts_BT: Tensor, new: int, **options) -> Tensor:
    everything_BT = hf.generate(
        prompts_BT, attention_mask=torch.ones_like(prompts_BT), max_new_tokens=new, pad_token_id=0, **options
    )
    return everything_BT[:, prompts_BT.shape[1] :]


@torch.no_grad()
def _regret(referee: km.KimiMini, prompts_BT: Tensor, answers_BN: Tensor) -> float:
    inputs_BT, found = torch.cat((prompts_BT, answers_BN), 1)[:, :-1], []
    for tokens, answers in zip(inputs_BT.split(_PIECE), answers_BN.split(_PIECE), strict=True):
        hidden, _ = referee.trunk(tokens)
        logits = referee.logits(hidden[:, -answers.shape[1] :])
        found.append(logits.amax(-1) - logits.gather(-1, answers[..., None])[..., 0])
    return torch.cat(found).double().mean().item()


# ---- G15 -------------------------------------------------------------------------------------------------------------


def build_grpo(device: torch.device, *, problems: int, group: int, new: int, micro_batch: int, **shape: int) -> Case:
    """Answers drawn at temperature 1, marked by a rule that costs nothing, one update. Peers differ in who draws."""
    policy = whole.our_model(whole.config(**shape), device, fast_format(device))
    _, tokenizer = km.load_mini()
    hf = whole.hf_model(policy, fast_format(device)).eval()
    texts = [f"What is {i} + {i}?" for i in range(problems)]
    asked_P = [Problem("bench", text, ({"role": "user", "content": text},), {}, budget=new) for text in texts]
    config = RLConfig(
        steps=1, problems=problems, group=group, updates=1, micro_batch=micro_batch, loss="grpo", penalty=None,
        optim=OptimConfig(lr=1e-4, weight_decay=0.0), step=StepConfig(bias_rate=0.0),
    )  # fmt: skip
    optimizer = build_optimizer(policy, config.optim)
    scores_PG = [[Score(float(g % 2), {}) for g in range(group)] for _ in range(problems)]
    seconds = {"generation": 0.0, "iteration": 0.0}

    def draw_ours() -> list[list[Rollout]]:
        return draw_rollouts(policy, tokenizer, asked_P, group, temperature=1.0, seed=0)

    def draw_theirs() -> list[list[Rollout]]:
        _copy_weights(policy, hf)
        return _hf_rollouts(hf, [prompt(p.messages, p.tools, tokenizer) for p in asked_P], group, new)

    def iteration(draw: Callable[[], list[list[Rollout]]]) -> None:
        began = time.perf_counter()
        rollouts_PG = draw()
        seconds["generation"] = time.perf_counter() - began
        learn(policy, optimizer, tokenizer, asked_P, rollouts_PG, scores_PG, config, seed=0)
        seconds["iteration"] = time.perf_counter() - began

    notes: dict[str, float] = {}

    def checked(name: str, draw: Callable[[], list[list[Rollout]]]) -> Results:
        """Log-probabilities as drawn against those of a pass over the whole answer, mean over tokens; before any update."""
        rollouts_PG = draw()
        rows = Rows.of(tokenizer, asked_P, rollouts_PG, torch.zeros(problems, group))
        off_NT = rows.log_ratios(policy, micro_batch).abs()
        tokens = sum(len(rollout.tokens) for rollouts in rollouts_PG for rollout in rollouts)
        notes[f"tokens drawn, {name}"] = tokens
        return {"log-probabilities": off_NT.double().sum() / tokens}

    def share() -> dict[str, float]:
        iteration(draw_ours)
        notes["generation's share of ours"] = seconds["generation"] / seconds["iteration"]
        return {}

    draws = {OURS: draw_ours, LOOP: draw_theirs}
    return make_case(
        {name: lambda name=name, draw=draw: checked(name, draw) for name, draw in draws.items()},
        lambda: {"log-probabilities": torch.zeros(())},
        metrics={"log-probabilities": lambda got, _: got.item()},
        also=share,
        timed={name: lambda draw=draw: iteration(draw) for name, draw in draws.items()},
        notes=notes,
    )


@torch.no_grad()
def _copy_weights(policy: km.KimiMini, hf: nn.Module) -> None:
    """A trainer and a generator of their own hold two copies; this is what the loop pays for it."""
    named, theirs = dict(policy.named_parameters()), dict(hf.named_parameters())
    for key, slot in hf_slots(named, fused_experts=True).items():
        theirs[key].copy_(slot.of(named[slot.name]))


def _hf_rollouts(hf: nn.Module, prompts_P: list[list[int]], group: int, new: int) -> list[list[Rollout]]:
    """All answers in one batch, prompts padded on the left; log-probabilities come from the logits of each step."""
    device, longest = next(hf.parameters()).device, max(map(len, prompts_P))
    rows_B = [row for row in prompts_P for _ in range(group)]
    tokens_BT = torch.tensor([[0] * (longest - len(row)) + row for row in rows_B], device=device)
    real_BT = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows_B], device=device)
    out = hf.generate(
        tokens_BT, attention_mask=real_BT, max_new_tokens=new, pad_token_id=0, do_sample=True, temperature=1.0, top_k=0,
        top_p=1.0, output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    answers_BN = out.sequences[:, longest:]
    chosen = [_logprob(logits_BV, answers_BN[:, n]) for n, logits_BV in enumerate(out.logits)]
    own = (True,) * answers_BN.shape[1]
    rows = zip(answers_BN.tolist(), torch.stack(chosen, 1).tolist(), strict=True)
    rollouts = [Rollout(tuple(answer), tuple(logprobs), own, 0, False) for answer, logprobs in rows]
    return [rollouts[start : start + group] for start in range(0, len(rollouts), group)]


def _logprob(logits_BV: Tensor, token_B: Tensor) -> Tensor:
    return torch.log_softmax(logits_BV.float(), -1).gather(-1, token_B[:, None])[:, 0]
