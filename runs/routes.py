"""Who answers for which word: MINI's real routes on held-out text of four domains.

Two kinds of points. A domain: ten sentences, read within their text, with every expert's score in every layer. A measure:
from N windows a domain, how much of the router's choices is foretold by domain, kind of token, token, and the token before.
One file a point in book/data/routes; a second call skips the points that are there.

examples:
  python -m runs.routes --list     the points, and which of them are done
  python -m runs.routes            what is missing, seconds each
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.corpus.files import Corpus
from kimi_mini.hub.mini import weights_sha256
from kimi_mini.model import MoE, Router, Routing
from kimi_mini.viz.routing_runs import pack_scores
from kimi_mini.viz.routing_share import foretold_share, joint, kind
from runs.output import made_here, write_json

FOLDER = Path("book/data/routes")
DOMAINS = ("plays", "code", "maths", "facts")
LENGTH = 512  # tokens of a window: what MINI was trained on
SIZES = (10, 30, 60)  # windows a domain
SENTENCES, SHORTEST, LONGEST, CONTEXT = 10, 10, 24, 64  # and as many tokens of text at least stand before a sentence
ENDS = (".", "?", "!", ":", "\n")


def points() -> list[str]:
    """All points; each is a file's name."""
    return [*DOMAINS, *(f"shares-{size}" for size in SIZES)]


@contextmanager
def listening(model: km.KimiMini) -> Iterator[list[Routing]]:
    """Inside, the list collects what the routers answer, layer after layer, batch after batch."""
    heard: list[Routing] = []
    routers = [module for module in model.modules() if isinstance(module, Router)]
    hooks = [router.register_forward_hook(lambda _module, _inputs, routing: heard.append(routing)) for router in routers]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def routes(model: km.KimiMini, tokens_BT: torch.Tensor) -> list[Routing]:
    """The Routing of every MoE layer for a batch; its T axis is batch and time flattened."""
    with listening(model) as heard:
        model.trunk(tokens_BT)
    return heard


def windows(text: Corpus, domain: str, count: int) -> np.ndarray:
    """`count` windows_WT of held-out text, evenly spread over it and in its order."""
    tokens_N = text.tokens[domain]["held_out"]
    starts = np.linspace(0, len(tokens_N) // LENGTH - 1, count).astype(int) * LENGTH
    return np.stack([tokens_N[start : start + LENGTH] for start in starts]).astype(np.int64)


# ---- sentences ---------------------------------------------------------------------------------------------------------


def sentence_in(texts: list[str]) -> tuple[int, int] | None:
    """First stretch of a window that begins after an end, ends at one, and is neither short nor long."""
    ends = [place + 1 for place, text in enumerate(texts) if text.strip(" ").endswith(ENDS)]
    for begin in (place for place in ends if place >= CONTEXT):
        while begin < len(texts) and not texts[begin].strip():
            begin += 1
        for end in ends:
            stretch = "".join(texts[begin:end])
            if SHORTEST <= end - begin <= LONGEST and not {"[", "\ufffd"} & set(stretch):
                return begin, end
    return None


def record_domain(domain: str, model: km.KimiMini, text: Corpus) -> dict[str, Any]:
    """Sentences of one domain with the scores of every layer."""
    began, sentences = time.perf_counter(), []
    for window_T in windows(text, domain, 3 * SENTENCES):
        texts = [text.tokenizer.decode([token]) for token in window_T.tolist()]
        place = sentence_in(texts)
        if place is None or len(sentences) == SENTENCES:
            continue
        begin, end = place
        heard = routes(model, torch.from_numpy(window_T[None, :end]))
        sentences.append({
            "words": texts[begin:end], "tokens": window_T[begin:end].tolist(), "before": window_T[:begin].tolist(),
            "scores": pack_scores(np.stack([routing.score_TE[begin:end].numpy() for routing in heard])),
            "chosen": [routing.expert_TK[begin:end].tolist() for routing in heard],
        })  # fmt: skip
    biases = [block.mlp.router.selection_bias.double().tolist() for block in model.blocks if hasattr(block.mlp, "router")]
    return {"domain": domain, "biases": biases, "sentences": sentences, **_provenance(model, began)}


# ---- the measure -------------------------------------------------------------------------------------------------------


def choices(model: km.KimiMini, text: Corpus, count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """choice_LNE (1 where token n of layer l chose expert e) over all domains, and what is known of each token."""
    rows, chosen = [windows(text, domain, count) for domain in DOMAINS], []
    for tokens_WT in rows:
        heard = [routes(model, torch.from_numpy(tokens_WT[start : start + 4])) for start in range(0, count, 4)]
        chosen.append([torch.cat([batch[layer].expert_TK for batch in heard]).numpy() for layer in range(len(heard[0]))])
    experts = model.config.n_routed_experts
    choice_LNE = np.stack([np.concatenate(layer) for layer in zip(*chosen, strict=True)])
    choice_LNE = np.eye(experts, dtype=np.float32)[choice_LNE].sum(2)
    tokens_WT = np.concatenate(rows)
    kinds_V = np.array([kind(text.tokenizer.decode([token])) for token in range(text.tokenizer.vocab_size)])
    before_WT = np.concatenate([np.full((len(tokens_WT), 1), text.tokenizer.bos), tokens_WT[:, :-1]], 1)
    known = {
        "domain": np.repeat(np.arange(len(DOMAINS)), count * LENGTH),
        "kind": kinds_V[tokens_WT].reshape(-1), "token": tokens_WT.reshape(-1), "before": before_WT.reshape(-1),
        "window": np.repeat(np.arange(len(tokens_WT)), LENGTH),
    }  # fmt: skip
    return choice_LNE, known


def measure(choice_LNE: np.ndarray, known: dict[str, np.ndarray]) -> dict[str, list[dict[str, float]]]:
    """For each thing that may be known of a token, the share that it foretells in each layer; then of all layers together."""
    domain, token, kinds = known["domain"], known["token"], known["kind"]
    shuffled = np.random.default_rng(0).permutation(len(token))
    settings = {
        "domain": [domain], "kind": [kinds], "kind and domain": [kinds, joint(kinds, domain)],
        "token before": [known["before"]], "token": [token], "token and domain": [token, joint(token, domain)],
        "token and token before": [token, joint(token, known["before"])],
        "shuffled token": [token[shuffled]], "shuffled domain": [domain[shuffled]],
    }  # fmt: skip
    together_NE = np.concatenate(list(choice_LNE), axis=1)
    return {
        name: [asdict(foretold_share(layer_NE, labels, known["window"])) for layer_NE in (*choice_LNE, together_NE)]
        for name, labels in settings.items()
    }


def record_shares(size: int, model: km.KimiMini, text: Corpus) -> dict[str, Any]:
    """The measure on `size` windows a domain."""
    began = time.perf_counter()
    choice_LNE, known = choices(model, text, size)
    layers = [index for index in range(model.config.num_hidden_layers) if model.config.is_moe(index)]
    shares = measure(choice_LNE, known)
    return {"windows": size, "length": LENGTH, "layers": layers, "shares": shares, **_provenance(model, began)}


@torch.no_grad()
def loudness(model: km.KimiMini, tokens_BT: torch.Tensor) -> list[tuple[float, float]]:
    """Of every MoE layer, the RMS of the routed experts' weighted sum, and that of one chosen expert's output, unweighted."""
    fed: list[tuple[MoE, torch.Tensor]] = []
    layers = [module for module in model.modules() if isinstance(module, MoE)]
    hooks = [layer.register_forward_pre_hook(lambda layer, inputs: fed.append((layer, inputs[0]))) for layer in layers]
    model.trunk(tokens_BT)
    for hook in hooks:
        hook.remove()
    found = []
    for layer, x_BTD in fed:
        x_TD = x_BTD.flatten(0, 1)
        routing = layer.router(x_TD)
        alone = torch.ones_like(routing.weight_TK[:, :1])
        single = [layer.experts(x_TD, routing._replace(expert_TK=e[:, None], weight_TK=alone)) for e in routing.expert_TK.T]
        found.append((_rms(layer.experts(x_TD, routing)), _rms(torch.stack(single))))
    return found


def _rms(x: torch.Tensor) -> float:
    return float(x.square().mean().sqrt())


# ---- the command -------------------------------------------------------------------------------------------------------


def _provenance(model: km.KimiMini, began: float) -> dict[str, Any]:
    return {
        "made_by": "python -m runs.routes", "weights": weights_sha256(corpus.files.data_folder()), "seed": 0,
        "experts": model.config.n_routed_experts, "chosen_per_token": model.config.num_experts_per_tok,
        "scale": model.config.routed_scaling_factor,
        **made_here(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def record(point: str, model: km.KimiMini, text: Corpus) -> dict[str, Any]:
    """One point by its name."""
    if point in DOMAINS:
        return record_domain(point, model, text)
    return record_shares(int(point.removeprefix("shares-")), model, text)


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the points and stop")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help="default: %(default)s")
    args = parser.parse_args(argv)
    files = {point: args.out / f"{point}.json" for point in points()}
    if args.list:
        print("\n".join(f"{'done' if path.exists() else 'missing':8}{point}" for point, path in files.items()))
        return
    missing = {point: path for point, path in files.items() if not path.exists()}
    if missing:
        (model, _), text = km.load_mini(), corpus.load()
    for point, path in missing.items():
        print(point, flush=True)
        write_json(path, record(point, model, text))


if __name__ == "__main__":
    main()
