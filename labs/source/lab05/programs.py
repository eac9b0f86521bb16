"""Right and wrong versions of the clip and of its statistic, as source text in which no name says which is which."""

from __future__ import annotations

import ast

import torch

from kimi_mini.labs import Program

_CLIP = "def clip(weights, S, tau, layout):\n"
_FUSED = """\
    n, r, H = layout.nope, layout.rope, layout.heads
    q = weights["{q}"].view(H, n + r, -1)
    kv = weights["kv_b_proj"].view(H, n + layout.value, -1)
    qn, qr, kn, v = q[:, :n], q[:, n:], kv[:, :n], kv[:, n:]
    kr, down = weights["kv_a_proj_with_mqa"][-r:], weights["kv_a_proj_with_mqa"][:-r]
"""
_SPLIT = """\
    n, r, H = layout.nope, layout.rope, layout.heads
    qn = weights["q_nope_proj"].view(H, n, -1)
    qr = weights["q_rope_proj"].view(H, r, -1)
    kn = weights["k_nope_proj"].view(H, n, -1)
    v = weights["v_proj"].view(H, layout.value, -1)
    kr, down = weights["k_rope_proj"], weights["kv_a_proj"]
"""
VIEWS = {
    "fused": _FUSED.format(q="q_b_proj"),
    "split": _SPLIT,
    "no latent": _FUSED.format(q="q_proj"),
}
LAYOUTS = {"fused": [True, True], "split": [False, True], "no latent": [True, False]}  # what Layout("mla", ...) is given
RULE = "    g = torch.where(S > tau, tau / S, 1.0)[:, None, None]\n"
ALL = "    g = (tau / S.max()).clamp(0, 1).expand(len(S))[:, None, None]\n"
MEAN = "    g = (tau / S.mean()).clamp(0, 1).expand(len(S))[:, None, None]\n"
RATIO = "    g = (tau / S).clamp(max=1.0)[:, None, None]\n"
SIZE = "    g = (tau / S.abs()).clamp(max=1.0)[:, None, None]\n"
GROWN = "    g = torch.where(S > 0, tau / S, 1.0)[:, None, None]\n"
NEXT = "    g = torch.where(S > tau, tau / S, 1.0).roll(1)[:, None, None]\n"
LOOSE = "    g = torch.where(S > 2 * tau, 2 * tau / S, 1.0)[:, None, None]\n"
SCALE = "    qn *= g.sqrt()\n    kn *= g.sqrt()\n    qr *= g\n"
LOOP = """\
    for h in range(H):
        if g[h] == 1.0:
            continue
        kn[h] = kn[h] * torch.exp(g[h].log() / 2)
        qr[h] /= 1 / g[h]
        qn[h] = torch.exp(g[h].log() / 2) * qn[h]
"""
QUERIES = "    qr *= g\n    qn *= g\n"
SHARED = "    qn *= g.sqrt()\n    kn *= g.sqrt()\n    qr *= g.sqrt()\n    kr *= g.prod() ** 0.5\n"
WHOLE_KEY = "    qn *= g.sqrt()\n    kn *= g.sqrt()\n    kr *= g.min()\n"
BOTH = "    qn *= g.sqrt()\n    kn *= g.sqrt()\n    qr *= g\n    kr *= g.min()\n"
ROOT = "    qn *= g.sqrt()\n    kn *= g.sqrt()\n    qr *= g.sqrt()\n"
TWICE = "    qn *= g\n    kn *= g\n    qr *= g\n"
NO_KEYS = "    qn *= g.sqrt()\n    qr *= g\n"
VALUES = SCALE + "    v *= g.sqrt()\n"
DOWN = "    qr *= g\n    down *= g.min()\n"
COPY = "    qn, kn, qr = qn * g.sqrt(), kn * g.sqrt(), qr * g\n"
CONTENT = "    qn *= g.sqrt()\n    kn *= g.sqrt()\n"


def clip(factor: str, rows: str, views: str = "fused", before: str = "") -> str:
    """Source of a clip: which factors, and where they are written."""
    return "import torch\n\n\n" + _CLIP + before + VIEWS[views] + factor + rows


def statistic(visible: str, value: str = "masked_fill(~seen, float('-inf')).amax((0, 2, 3))") -> str:
    """Source of a max_logits: which pairs count (an expression in i, the query's place, and j, the key's), and what of them."""
    return f"""
import torch


def measure(batches, scale):
    found = []
    for q, k in batches:
        i = torch.arange(q.shape[1])[:, None]
        j = torch.arange(q.shape[1])[None]
        seen = {visible}
        logits = torch.einsum("bthn,bshn->bhts", q, k) * scale
        found.append(logits.{value})
    return torch.stack(found).amax(0)
"""


def scrambled(source: str, gen: torch.Generator) -> Program:
    """The same program with other names for whatever it names itself."""
    tree = ast.parse(source)
    own = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    own |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    letters = torch.randint(97, 123, (len(own), 4), generator=gen).tolist()
    new = {
        name: "".join(map(chr, row)) + str(place) for place, (name, row) in enumerate(zip(sorted(own), letters, strict=True))
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.arg = new[node.arg]
        elif isinstance(node, ast.Name):
            node.id = new.get(node.id, node.id)
        elif isinstance(node, ast.FunctionDef):
            node.name = new[node.name]
    return Program(ast.unparse(tree))


def shuffled(sources: list, gen: torch.Generator) -> list:
    """In an order that says nothing."""
    return [sources[place] for place in torch.randperm(len(sources), generator=gen).tolist()]
