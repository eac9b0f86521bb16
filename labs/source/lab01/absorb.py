"""The same attention without expanding anything: the up-projections move into query and output."""

from __future__ import annotations

import torch

import kimi_mini as km
from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def absorb(q_HN, cache_SX, kv_up, config):
    """Attention of one token over a latent cache, reading the cache as it is.

    q_HN       the token's queries, turned already: head, width N = n content + R rotary numbers
    cache_SX   S entries, the token's own among them: [C numbers of latent | R of turned rotary key]
    kv_up      [H (n + v), C], per head n key rows (K_h), then v value rows (V_h)
    config     .qk_nope_head_dim (n), .qk_rope_head_dim (R), .v_head_dim (v), .kv_lora_rank (C), .softmax_scale

    With c_s the latent and r_s the rotary key of entry s, head h has

        logit_s = softmax_scale * (content q . K_h c_s + rotary q . r_s)
        out_h   = sum over s of p_s V_h c_s,   p the softmax of the logits

    Returns out_HM, M = v.
    The matrices move: q . (K c) = (K^T q) . c, and a sum of V c is V times a sum of c. So no entry has to be expanded.
    No tensor on the way may hold more numbers than the larger of cache_SX and kv_up: sum in the products themselves.
    """
    n, width = config.qk_nope_head_dim, config.kv_lora_rank
    up_HWC = kv_up.unflatten(0, (len(q_HN), -1))
    K_HnC, V_HMC = up_HWC[:, :n], up_HWC[:, n:]
    seen_SX = cache_SX
    latent_SC, rotary_SR = seen_SX[:, :width], seen_SX[:, width:]
    absorbed_HC = torch.einsum("hn,hnc->hc", q_HN[:, :n], K_HnC)
    content_HS = absorbed_HC @ latent_SC.T
    logits_HS = content_HS + q_HN[:, n:] @ rotary_SR.T
    p_HS = (config.softmax_scale * logits_HS).softmax(-1)
    read_HC = p_HS @ latent_SC
    return torch.einsum("hc,hmc->hm", read_HC, V_HMC)
'''

PACKAGE = """
import torch

import kimi_mini as km


def absorb(q_HN, cache_SX, kv_up, config):
    n, width = config.qk_nope_head_dim, config.kv_lora_rank
    up_HWC = kv_up.unflatten(0, (len(q_HN), -1))
    absorbed = torch.cat((torch.einsum("hn,hnc->hc", q_HN[:, :n], up_HWC[:, :n]), q_HN[:, n:]), -1)
    visible = torch.tensor([[len(cache_SX)]])
    read, _ = km.kernels.latent_attention(
        absorbed[None, None], cache_SX[None], visible, latent_dim=width, scale=config.softmax_scale
    )
    return torch.einsum("hc,hmc->hm", read[0, 0], up_HWC[:, n:])
"""


def cases(seed: int) -> tuple[Case, ...]:
    """A square one, so that a missing transpose shows as a number; then caches too long to expand, even head by head."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, heads: int, n: int, v: int, latent: int, entries: int, spy: bool) -> Case:
        config = km.NANO.replace(
            num_attention_heads=heads, qk_nope_head_dim=n, qk_rope_head_dim=2, v_head_dim=v, kv_lora_rank=latent
        )
        q_HN = torch.randn(heads, n + 2, generator=gen, dtype=torch.float64)
        cache_SX = torch.randn(entries, latent + 2, generator=gen, dtype=torch.float64)
        kv_up = torch.randn(heads * (n + v), latent, generator=gen, dtype=torch.float64)
        largest = max(cache_SX.numel(), kv_up.numel()) if spy else None
        return Case(name, (q_HN, cache_SX, kv_up, config), largest=largest)

    return (
        case("a latent as wide as a content key", 3, 5, 4, 5, 6, False),
        case("thirty entries", 3, 12, 11, 4, 30, True),
        case("twenty entries, wide values", 2, 10, 13, 3, 20, True),
    )


_EXPANDED = (
    "The numbers are right, but something was built for every entry on the way, whole or head by head: keys, values, "
    "or products that were not summed yet. "
    "Multiply the query by K^T before it meets the cache, and the sum of the latents by V after it."
)

PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "missing transpose",
            '"hn,hnc->hc", q_HN[:, :n], K_HnC',
            '"hc,hnc->hn", q_HN[:, :n], K_HnC',
            "A transpose is missing: q . (K c) = (K^T q) . c, so the query is multiplied by K_h transposed.",
        ),
        Mistake(
            "sum over heads",
            'absorbed_HC = torch.einsum("hn,hnc->hc", q_HN[:, :n], K_HnC)',
            'absorbed_HC = torch.einsum("hn,hnc->c", q_HN[:, :n], K_HnC).expand(len(q_HN), -1)',
            "The absorbed queries were summed over the heads. Each head has its own.",
        ),
        Mistake(
            "sum over heads on the way out",
            'torch.einsum("hc,hmc->hm", read_HC, V_HMC)',
            'torch.einsum("hc,gmc->gm", read_HC, V_HMC)',
            "What the heads read was summed over the heads. Head h's V belongs to what head h read.",
        ),
        Mistake(
            "value projection forgotten",
            'return torch.einsum("hc,hmc->hm", read_HC, V_HMC)',
            "return read_HC",
            "The result is a sum of latents. V_h still has to be applied, once, to that sum.",
        ),
        Mistake(
            "k and v split across heads",
            "K_HnC, V_HMC = up_HWC[:, :n], up_HWC[:, n:]",
            "K_HnC, V_HMC = (rows.unflatten(0, (len(q_HN), -1)) for rows in kv_up.tensor_split([len(q_HN) * n]))",
            "Keys and values were split once for all heads. kv_up's rows go head by head: split within each.",
        ),
        Mistake(
            "heads as the inner axis",
            "up_HWC = kv_up.unflatten(0, (len(q_HN), -1))",
            "up_HWC = kv_up.unflatten(0, (-1, len(q_HN))).transpose(0, 1)",
            "The heads were taken as the inner axis of kv_up's rows. All rows of head 0 come first, then all of head 1.",
        ),
        Mistake(
            "rotary part forgotten",
            "content_HS + q_HN[:, n:] @ rotary_SR.T",
            "content_HS + 0",
            "The rotary part of the logits is missing. It reads the last R numbers of each entry.",
        ),
        Mistake(
            "scaled by the width that is read",
            "(config.softmax_scale * logits_HS)",
            "((width + 2) ** -0.5 * logits_HS)",
            "The scale was taken from the absorbed width, C + R. The logits are the old ones, so their scale is too.",
        ),
        Mistake(
            "not scaled",
            "(config.softmax_scale * logits_HS)",
            "logits_HS",
            "The logits were not multiplied by config.softmax_scale.",
        ),
        Mistake(
            "keys expanded",
            "content_HS = absorbed_HC @ latent_SC.T",
            'content_HS = torch.einsum("hn,shn->hs", q_HN[:, :n], torch.einsum("sc,hnc->shn", latent_SC, K_HnC))',
            _EXPANDED,
        ),
        Mistake(
            "keys expanded head by head",
            "content_HS = absorbed_HC @ latent_SC.T",
            "content_HS = torch.stack([latent_SC @ K.T @ q for q, K in zip(q_HN[:, :n], K_HnC)])",
            _EXPANDED,
        ),
        Mistake(
            "values expanded",
            'torch.einsum("hc,hmc->hm", read_HC, V_HMC)',
            'torch.einsum("hs,shm->hm", p_HS, torch.einsum("sc,hmc->shm", latent_SC, V_HMC))',
            _EXPANDED,
        ),
    ),
)

ABSORB = Coding(
    "absorb",
    "Absorb",
    minutes=33,
    difficulty=3,
    points=6,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "parts first",
            "The rows of kv_up are sorted by part, not by head: first the key rows of every head, then the value rows.",
            (
                "per head n key rows (K_h), then v value rows (V_h)",
                "n key rows of each head (K_h), then v value rows of each (V_h)",
            ),
            (
                "    up_HWC = kv_up.unflatten(0, (len(q_HN), -1))\n    K_HnC, V_HMC = up_HWC[:, :n], up_HWC[:, n:]\n",
                "    heads = len(q_HN)\n"
                "    K_HnC = kv_up[: heads * n].unflatten(0, (heads, -1))\n"
                "    V_HMC = kv_up[heads * n :].unflatten(0, (heads, -1))\n",
            ),
        ),
        twist(
            PRACTICE,
            "key first",
            "An entry holds its parts in the other order: the turned rotary key first, then the latent.",
            ("[C numbers of latent | R of turned rotary key]", "[R numbers of turned rotary key | C of latent]"),
            ("seen_SX[:, :width], seen_SX[:, width:]", "seen_SX[:, -width:], seen_SX[:, :-width]"),
        ),
        twist(
            PRACTICE,
            "keys as values",
            "A head's values are its content keys: K_h stands where V_h stood, and the result is [H, n].",
            ("sum over s of p_s V_h c_s,", "sum over s of p_s K_h c_s,"),
            ("out_HM, M = v.", "out_HM, M = n."),
            ("then v value rows (V_h)", "then v value rows, not used here"),
            ("a sum of V c is V times", "a sum of K c is K times"),
            ('"hc,hmc->hm", read_HC, V_HMC', '"hc,hmc->hm", read_HC, K_HnC'),
            also=(
                Mistake(
                    "value projection forgotten",
                    'return torch.einsum("hc,hmc->hm", read_HC, K_HnC)',
                    "return read_HC",
                    "The result is a sum of latents. K_h still has to be applied, once, to that sum.",
                ),
                Mistake(
                    "values expanded",
                    'torch.einsum("hc,hmc->hm", read_HC, K_HnC)',
                    'torch.einsum("hs,shm->hm", p_HS, torch.einsum("sc,hmc->shm", latent_SC, K_HnC))',
                    _EXPANDED,
                ),
            ),
        ),
        twist(
            PRACTICE,
            "each head its window",
            "Head h reads only the newest h + 2 entries (the last rows of cache_SX).",
            (
                "p the softmax of the logits\n",
                "p the softmax of the logits of the last h + 2 entries\n",
            ),
            (
                "    p_HS = (",
                "    reach_H1 = torch.arange(len(q_HN))[:, None] + 2\n"
                "    old_HS = torch.arange(len(cache_SX)).flip(0) >= reach_H1\n"
                '    logits_HS = logits_HS.masked_fill(old_HS, float("-inf"))\n    p_HS = (',
            ),
        ),
    ),
)
