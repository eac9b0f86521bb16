"""The museum's pieces, by suspect: what was changed, what it does, and which check catches it."""

from __future__ import annotations

from typing import Any

_ROW_MAX = ("row_max.append(logits.detach().amax(-1))",)
_FACTOR = ("return torch.where(max_logits_LH > tau, tau / max_logits_LH, 1.0)",)
_Q_NOPE = "self.q_up_nope.mul_(gamma**alpha)"
_K_NOPE = "self.k_up.mul_(gamma ** (1 - alpha))"
_Q_ROPE = "self.q_up_rope.mul_(gamma)"
_ORTHOGONAL = "orthogonal_AB = kernels.newton_schulz(ahead_AB, steps=steps, coefficients=coefficients, dtype=dtype)"

_STATISTIC: tuple[dict[str, Any], ...] = (
    dict(
        name="before-mask",
        title="The maximum before the mask",
        suspect="statistic",
        function="kimi_mini.kernels.attention_torch:_by_rows",
        changes=((*_ROW_MAX, "row_max.append((q[:, rows] @ k.mT * scale).detach().amax(-1))"),),
        explanation="The maximum is taken over all pairs of tokens, later keys included, which no softmax ever sees. "
        "Heads are clipped for logits that do not exist.",
        killed_by="max-logits.causal",
    ),
    dict(
        name="absolute",
        title="The largest absolute value",
        suspect="statistic",
        function="kimi_mini.kernels.attention_torch:_by_rows",
        changes=((*_ROW_MAX, "row_max.append(logits.detach().nan_to_num(neginf=0.0).abs().amax(-1))"),),
        explanation="A strongly negative logit is a weight of zero in the softmax and harms nothing. With the absolute "
        "value it clips its head all the same.",
        killed_by="max-logits.signed",
    ),
    dict(
        name="unscaled",
        title="Logits without 1/sqrt(d)",
        suspect="statistic",
        function="kimi_mini.kernels.attention_torch:_by_rows",
        changes=((*_ROW_MAX, "row_max.append(logits.detach().amax(-1) / scale)"),),
        explanation="The number is q.k, not what the softmax receives: too large by sqrt(d). The clip acts as if tau were "
        "that much smaller.",
        killed_by="max-logits.scaled",
    ),
    dict(
        name="last-micro-batch",
        title="Only the last micro-batch",
        suspect="statistic",
        function="kimi_mini.model.stats:ForwardStats.merge",
        changes=(("torch.maximum(self.max_logits_LH, other.max_logits_LH)", "self.max_logits_LH"),),
        explanation="Each micro-batch overwrites what the one before had seen, so a head that exploded early in the batch "
        "is not clipped. With one micro-batch a step nothing is wrong at all.",
        killed_by="max-logits.micro-batches",
    ),
)

_FACTORS: tuple[dict[str, Any], ...] = (
    dict(
        name="one-for-all",
        title="One factor for all heads",
        suspect="factor",
        function="kimi_mini.optim.qk_clip:clip_factors",
        changes=(
            (
                *_FACTOR,
                "worst_L1 = max_logits_LH.amax(-1, keepdim=True)\n"
                "    return torch.where(worst_L1 > tau, tau / worst_L1, 1.0).expand_as(max_logits_LH)",
            ),
        ),
        explanation="The worst head's factor is given to every head of its layer. The cap holds, but heads that did "
        "nothing wrong are shrunk at every clip. It is the naive version that the report describes and "
        "rejects.",
        killed_by="qk-clip.other-heads",
    ),
    dict(
        name="clamped-ratio",
        title="min(1, tau / S)",
        suspect="factor",
        function="kimi_mini.optim.qk_clip:clip_factors",
        changes=((*_FACTOR, "return (tau / max_logits_LH).clamp(max=1.0)"),),
        explanation="Right for every positive maximum. A head whose logits are all negative gets a negative factor, and "
        "its square root is NaN: the weights of that head are gone.",
        killed_by="qk-clip.negative",
    ),
    dict(
        name="no-minimum",
        title="tau / S without the minimum",
        suspect="factor",
        function="kimi_mini.optim.qk_clip:clip_factors",
        changes=((*_FACTOR, "return torch.where(max_logits_LH > 0, tau / max_logits_LH, 1.0)"),),
        explanation="Heads below tau are scaled up to it. A clip is a ceiling; this is a thermostat, and it drives every "
        "quiet head to tau within one step.",
        killed_by="qk-clip.below-tau",
    ),
)

_PLACES: tuple[dict[str, Any], ...] = (
    dict(
        name="shared-key",
        title="The shared rotary key is scaled too",
        suspect="place",
        function="kimi_mini.model.mla:MLA.rescale_qk_",
        changes=(
            (
                _Q_ROPE,
                "self.q_up_rope.mul_(gamma**alpha)\n"
                "    self.kv_down.weight[self.latent_dim :].mul_((gamma ** (1 - alpha)).prod())",
            ),
        ),
        explanation="The rotary part is treated like the content part. But all heads read one rotary key, so a clip of "
        "one head changes the logits of every other head of its layer.",
        killed_by="qk-clip.shared-key",
    ),
    dict(
        name="rope-root",
        title="sqrt(gamma) on the rotary query",
        suspect="place",
        function="kimi_mini.model.mla:MLA.rescale_qk_",
        changes=((_Q_ROPE, "self.q_up_rope.mul_(gamma**alpha)"),),
        explanation="The rotary key takes nothing, so the rotary query must take gamma whole. With the root, the rotary "
        "part of each logit shrinks too little, and the head can stay above tau.",
        killed_by="qk-clip.clipped-heads",
    ),
    dict(
        name="columns",
        title="Columns for rows",
        suspect="place",
        function="kimi_mini.model.mla:MLA.rescale_qk_",
        changes=((_Q_NOPE, 'rearrange(self.q_up.weight, "n (h c) -> h n c", h=self.heads).mul_(gamma**alpha)'),),
        explanation="In y = x W^T a head is a block of rows of W. Here blocks of columns are scaled, which belong to the "
        "inputs: every head of the layer is changed, and none by its factor.",
        killed_by="qk-clip.other-heads",
    ),
    dict(
        name="wrong-rows",
        title="All content rows first",
        suspect="place",
        function="kimi_mini.model.mla:MLA.rescale_qk_",
        changes=((_Q_NOPE, "self.q_up.weight[: self.heads * self.nope].view(self.heads, self.nope, -1).mul_(gamma**alpha)"),),
        explanation="The rows are read as if the content rows of all heads stood first and the rotary rows after them. "
        "They stand head by head, so part of a factor lands in its neighbour.",
        killed_by="qk-clip.other-heads",
    ),
    dict(
        name="values-too",
        title="The values are scaled with the keys",
        suspect="place",
        function="kimi_mini.model.mla:MLA.rescale_qk_",
        changes=((_K_NOPE, 'rearrange(self.kv_up.weight, "(h n) c -> h n c", h=self.heads).mul_(gamma ** (1 - alpha))'),),
        explanation="Keys and values share one matrix, key rows before value rows in each head. Scaling the whole block "
        "caps the logits exactly, and fades what the head says.",
        killed_by="qk-clip.values",
    ),
    dict(
        name="down-projection",
        title="The down-projections are scaled",
        suspect="place",
        function="kimi_mini.model.mla:MLA.rescale_qk_",
        changes=(
            (_Q_NOPE, "self.q_down.weight.mul_(gamma.min() ** alpha)"),
            (_K_NOPE, "self.kv_down.weight[: self.latent_dim].mul_(gamma.min() ** (1 - alpha))"),
        ),
        explanation="An RMSNorm stands behind each down-projection and divides the factor out again: the content part of "
        "the logits does not move. Only the rotary part is clipped.",
        killed_by="qk-clip.clipped-heads",
    ),
    dict(
        name="copy",
        title="A copy is scaled",
        suspect="place",
        function="kimi_mini.model.mla:MLA.rescale_qk_",
        changes=(
            (_Q_NOPE, "self.q_up_nope.mul(gamma**alpha)"),
            (_K_NOPE, "self.k_up.mul(gamma ** (1 - alpha))"),
            (_Q_ROPE, "self.q_up_rope.mul(gamma)"),
        ),
        explanation="mul without its underscore returns a scaled copy and throws it away. The factors look right in every "
        "log, and no weight changes.",
        killed_by="qk-clip.clipped-heads",
    ),
)

_OPTIMIZER: tuple[dict[str, Any], ...] = (
    dict(
        name="half-averaged",
        title="Averaged momentum, accumulated look-ahead",
        suspect="optimizer",
        function="kimi_mini.optim.muon:muon_update",
        changes=(
            (
                "    momentum_AB = torch.add(grad_AB, momentum_AB, alpha=mu)",
                "    momentum_AB = torch.lerp(grad_AB, momentum_AB, mu)",
            ),
        ),
        explanation="An average of gradients is as good as their sum, since Newton-Schulz forgets the size, but only if "
        "the step ahead is averaged as well. Here the newest gradient weighs more than ten times what it "
        "should against the older ones.",
        killed_by="muon.momentum",
    ),
    dict(
        name="forgetful",
        title="Momentum that is never kept",
        suspect="optimizer",
        function="kimi_mini.optim.muon:Muon._muon_step",
        changes=(
            (
                'self.state[p]["momentum"].copy_(momentum.view(p.shape))',
                'self.state[p]["momentum"].clone().copy_(momentum.view(p.shape))',
            ),
        ),
        explanation="The new momentum is written into a copy. Every step starts from zero, so each batch is followed for "
        "one step and forgotten.",
        killed_by="muon.momentum",
    ),
    dict(
        name="ratio-scale",
        title="sqrt(max(1, A/B)) for the size",
        suspect="optimizer",
        function="kimi_mini.optim.muon:update_scale",
        changes=(("return rms * math.sqrt(max(rows, columns))", "return math.sqrt(max(1, rows / columns))"),),
        explanation="The scale of the original Muon, which goes with learning rates of its own. Updates no longer have "
        "AdamW's size, and the wider the matrix, the smaller they are.",
        killed_by="muon.size",
    ),
    dict(
        name="shaped-decay",
        title="Decay at the shaped rate",
        suspect="optimizer",
        function="kimi_mini.optim.muon:Muon._muon_step",
        changes=(
            (
                'p.mul_(1 - group["lr"] * group["weight_decay"])',
                'p.mul_(1 - group["lr"] * update_scale(*shape, group["update_rms"]) * group["weight_decay"])',
            ),
        ),
        explanation="The factor 0.2 sqrt(max(A, B)) belongs to the update alone. Here it multiplies the decay as well: "
        "large matrices decay faster than small ones.",
        killed_by="muon.decay",
    ),
    dict(
        name="entrywise-sign",
        title="The sign of every entry",
        suspect="optimizer",
        function="kimi_mini.optim.muon:muon_update",
        changes=((_ORTHOGONAL, "orthogonal_AB = ahead_AB.sign().div_(math.sqrt(max(ahead_AB.shape[-2:])))"),),
        explanation="The matrix sign is the orthogonal factor of the momentum; nothing is signed entry by entry. This "
        "update even has the right size, but its few large directions drown the small ones.",
        killed_by="muon.orthogonal",
    ),
    dict(
        name="one-big-matrix",
        title="A stack taken for one matrix",
        suspect="optimizer",
        function="kimi_mini.optim.muon:muon_update",
        changes=(
            (
                _ORTHOGONAL,
                "flat_AB = ahead_AB.reshape(-1, ahead_AB.shape[-1])\n"
                "    orthogonal_AB = kernels.newton_schulz(flat_AB, steps=steps, coefficients=coefficients, dtype=dtype)\n"
                "    orthogonal_AB = orthogonal_AB.view_as(ahead_AB)",
            ),
        ),
        explanation="Matrices of one shape go through Newton-Schulz together, each for itself. Flattened into one "
        "tall matrix they share one budget: each gets a fraction of its update, and one with a small gradient "
        "almost none.",
        killed_by="muon.stack",
    ),
)

PIECES = (*_STATISTIC, *_FACTORS, *_PLACES, *_OPTIMIZER)
