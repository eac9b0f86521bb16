"""Code as others might write it, right and wrong, for the suite to judge: none of it uses kimi_mini's own clip or Muon."""

import torch
from torch import nn


def _root(max_logits_H, tau):
    return (tau / max_logits_H.clamp(min=tau)).sqrt()


def _finite(max_logits_H):
    if not (max_logits_H < float("inf")).all():
        raise FloatingPointError("attention logits have overflowed")


def _rows(weight, heads, factor_H):
    weight.view(heads, -1, weight.shape[1]).mul_(factor_H[:, None, None])


# ---- right -----------------------------------------------------------------------------------------------------------


def clip_any(weights, max_logits_H, tau, layout):
    """Every layout, split and fused; a key that several heads share takes nothing."""
    _finite(max_logits_H)
    root_H = _root(max_logits_H, tau)
    heads, groups = layout.heads, layout.kv_heads
    if layout.kind == "mla" and layout.fused:
        q = weights["q_b_proj" if layout.q_latent else "q_proj"].view(heads, layout.qk_dim, -1)
        q[:, : layout.nope] *= root_H[:, None, None]
        q[:, layout.nope :] *= root_H[:, None, None] ** 2
        kv = weights["kv_b_proj"].view(heads, layout.nope + layout.value, -1)
        kv[:, : layout.nope] *= root_H[:, None, None]
    elif layout.kind == "mla":
        _rows(weights["q_nope_proj"], heads, root_H)
        _rows(weights["k_nope_proj"], heads, root_H)
        _rows(weights["q_rope_proj"], heads, root_H**2)
    else:
        n_q, n_k = heads * layout.qk_dim, groups * layout.qk_dim
        q, k = weights["qkv_proj"][: n_q + n_k].split([n_q, n_k]) if layout.fused else (weights["q_proj"], weights["k_proj"])
        if layout.kind == "mha":
            _rows(q, heads, root_H)
            _rows(k, heads, root_H)
        else:
            _rows(q, heads, root_H**2)


def clip_made_up_for(weights, max_logits_H, tau, layout):
    """gqa, split: the shared key takes its group's root, and every query of the group what is left of its own factor."""
    _finite(max_logits_H)
    gamma_H = _root(max_logits_H, tau) ** 2
    root_G = gamma_H.view(layout.kv_heads, -1).amin(1).sqrt()
    _rows(weights["k_proj"], layout.kv_heads, root_G)
    _rows(weights["q_proj"], layout.heads, gamma_H / root_G.repeat_interleave(layout.heads // layout.kv_heads))


def clip_returned(weights, max_logits_H, tau, layout):
    """As functional code does it: the dict that came in stays as it was."""
    new = {name: weight.clone() for name, weight in weights.items()}
    clip_any(new, max_logits_H, tau, layout)
    return new


def clip_replaced(weights, max_logits_H, tau, layout):
    weights.update(clip_returned(weights, max_logits_H, tau, layout))


def clip_silent(weights, max_logits_H, tau, layout):
    """Skips a layer that has overflowed, and tells nobody: accepted, and the report says so."""
    if (max_logits_H < float("inf")).all():
        clip_any(weights, max_logits_H, tau, layout)


def max_logits(micro_batches, scale):
    best = []
    for q, k in micro_batches:
        k = k.repeat_interleave(q.shape[2] // k.shape[2], 2)
        seen = torch.ones(q.shape[1], q.shape[1]).tril().bool()
        best.append(torch.einsum("bthn,bshn->hbts", q, k)[:, :, seen].flatten(1).amax(1))
    return scale * torch.stack(best).amax(0)


class ExactMuon(torch.optim.Optimizer):
    """Orthogonal by SVD; averaged momentum, which forgets its size; matrices one by one."""

    nesterov = True

    def __init__(self, params, lr, weight_decay, momentum):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    def direction(self, p, mu):
        average = self.state[p].setdefault("average", torch.zeros_like(p))
        average.lerp_(p.grad, 1 - mu)
        return p.grad.lerp(average, mu) if self.nesterov else average

    def update(self, direction):
        if not direction.any():
            return direction
        u, _, vh = torch.linalg.svd(direction, full_matrices=False)
        return 0.2 * max(direction.shape[-2:]) ** 0.5 * (u @ vh)

    def decay(self, p, group):
        p.mul_(1 - group["lr"] * group["weight_decay"])

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    update = self.update(self.direction(p, group["momentum"]))
                    self.decay(p, group)
                    p.sub_(group["lr"] * update)


class PlainMomentum(ExactMuon):
    """Algorithm 1 to the letter: no look ahead."""

    nesterov = False


def muonclip(weights, layout, *, lr, weight_decay, momentum, tau, clip=clip_any, statistic=max_logits):
    optimizer = ExactMuon([w for w in weights.values() if w.ndim == 2], lr, weight_decay, momentum)

    def step(micro_batches):
        optimizer.step()
        with torch.no_grad():
            clip({name: w.data for name, w in weights.items()}, statistic(micro_batches, layout.scale), tau, layout)

    return step


# ---- wrong, or worse -------------------------------------------------------------------------------------------------


def clip_group_factor(weights, max_logits_H, tau, layout):
    """gqa, split: the worst head's root for all queries of its group."""
    _finite(max_logits_H)
    root_G = _root(max_logits_H, tau).view(layout.kv_heads, -1).amin(1)
    _rows(weights["k_proj"], layout.kv_heads, root_G)
    _rows(weights["q_proj"], layout.heads, root_G.repeat_interleave(layout.heads // layout.kv_heads))


def clip_shared_key(weights, max_logits_H, tau, layout):
    """gqa, split: as if each query head had a key of its own, heads in turn."""
    _finite(max_logits_H)
    root_H = _root(max_logits_H, tau)
    _rows(weights["q_proj"], layout.heads, root_H)
    for head, root in enumerate(root_H):
        group = head // (layout.heads // layout.kv_heads)
        weights["k_proj"].view(layout.kv_heads, layout.qk_dim, -1)[group] *= root


def clip_in_single(weights, max_logits_H, tau, layout):
    """Right, but through single precision."""
    single = {name: weight.float() for name, weight in weights.items()}
    clip_any(single, max_logits_H.float(), tau, layout)
    return {name: weight.double() for name, weight in single.items()}


def clip_keys_twice(weights, max_logits_H, tau, layout):
    clip_any(weights, max_logits_H, tau, layout)
    clip_any(weights, max_logits_H, tau, layout)


def clip_unguarded(weights, max_logits_H, tau, layout):
    """No look at what cannot be repaired."""
    root_H = _root(max_logits_H, tau)
    _rows(weights["q_proj"], layout.heads, root_H)
    _rows(weights["k_proj"], layout.heads, root_H)


def max_logits_in_turn(micro_batches, scale):
    """Shared keys repeated in the wrong order."""
    return max_logits([(q, k.repeat(1, 1, q.shape[2] // k.shape[2], 1)) for q, k in micro_batches], scale)


def max_logits_over_d(micro_batches, scale):
    return max_logits(micro_batches, 1 / micro_batches[0][0].shape[-1])


class Remembering:
    """A running maximum that nobody resets."""

    def __init__(self):
        self.best = None

    def __call__(self, micro_batches, scale):
        now = max_logits(micro_batches, scale)
        self.best = now if self.best is None else torch.maximum(now, self.best)
        return self.best


class Coupled(ExactMuon):
    """Decay inside the gradient."""

    def direction(self, p, mu):
        p.grad.add_(p, alpha=self.param_groups[0]["weight_decay"])
        return super().direction(p, mu)

    def decay(self, p, group):
        pass


class Unscaled(ExactMuon):
    def update(self, direction):
        return super().update(direction) / (0.2 * max(direction.shape[-2:]) ** 0.5)


class FixedRate(ExactMuon):
    """Keeps the rate that it was made with."""

    def __init__(self, params, lr, weight_decay, momentum):
        super().__init__(params, lr, weight_decay, momentum)
        self.lr = lr

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["lr"] = self.lr
        super().step()


class Uphill(ExactMuon):
    def update(self, direction):
        return -super().update(direction)


class Dividing(ExactMuon):
    """No epsilon under the norm."""

    def update(self, direction):
        return super().update(direction / direction.norm())


def adam(params, lr, weight_decay, momentum):
    return torch.optim.AdamW(params, lr, weight_decay=weight_decay)


def sgd(params, lr, weight_decay, momentum):
    return torch.optim.SGD(params, lr, weight_decay=weight_decay, momentum=momentum)


def clip_before(weights, layout, *, lr, weight_decay, momentum, tau):
    optimizer = ExactMuon([w for w in weights.values() if w.ndim == 2], lr, weight_decay, momentum)

    def step(micro_batches):
        with torch.no_grad():
            clip_any({name: w.data for name, w in weights.items()}, max_logits(micro_batches, layout.scale), tau, layout)
        optimizer.step()

    return step


def remembering(weights, layout, **options):
    return muonclip(weights, layout, **options, statistic=Remembering())


def hostile(*arguments, **options):
    raise SystemExit(0)


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("not even this")


def unprintable(*arguments, **options):
    raise Unprintable


def nonsense(*arguments, **options):
    return {"q_b_proj": "a string", "o_proj": nn.Identity()}
