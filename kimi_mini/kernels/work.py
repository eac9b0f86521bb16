"""What each operation must do at least, whoever does it: FLOPs and bytes of memory traffic, and the time that follows.

A multiply-add counts as 2 FLOPs; only matrix products count. Bytes are those of inputs read once and outputs written once,
in bf16 (2 bytes) unless said: what a kernel that keeps everything else on the chip would move. Divided by a GPU's two
ceilings, they give the floor: no program of this formulation is faster.

Legend: B batch, T tokens, S cached tokens, H heads, N query/key width, M value width, C latent, X = C + rotary key,
E experts, K experts per token, D width, F expert width, V vocabulary; A <= B the sides of a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

BF16, FP32, FP8 = 2, 4, 1  # bytes of an element
BLOCK = 128  # elements that share a scale in FP8


@dataclass(frozen=True)
class Ceilings:
    """What a device reaches at its best: FLOPs of a large matrix product and bytes of a large copy, per second."""

    flops: float
    bytes: float


H100 = Ceilings(790e12, 3.0e12)  # published figures, bf16: a bench run measures its own


@dataclass(frozen=True)
class Work:
    """FLOPs and bytes of an operation. A sum means one after the other: `phases` are then what each part needs."""

    flops: float
    bytes: float
    parts: tuple[Work, ...] = ()

    @property
    def phases(self) -> tuple[Work, ...]:
        return self.parts or (self,)

    @property
    def intensity(self) -> float:
        """FLOPs per byte: left of the ridge of a roofline bytes are the limit, right of it FLOPs."""
        return self.flops / self.bytes

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes, self.phases + other.phases)

    def floor_ms(self, ceilings: Ceilings) -> float:
        """The least time in milliseconds: per phase the larger of its two, as if memory and arithmetic overlapped perfectly."""
        return sum(max(p.flops / ceilings.flops, p.bytes / ceilings.bytes) for p in self.phases) * 1e3

    def bound(self, ceilings: Ceilings) -> str:
        """What takes longer, "math" or "bytes"."""
        return "math" if self.flops / ceilings.flops >= self.bytes / ceilings.bytes else "bytes"


# ---- attention -------------------------------------------------------------------------------------------------------


def attention_forward(B: int, T: int, H: int, N: int = 192, M: int = 128) -> Work:
    """Causal: half of all query-key pairs, for logits (N) and values (M)."""
    return Work(B * H * T * T * (N + M), BF16 * B * T * H * (2 * N + 2 * M))


def attention_backward(B: int, T: int, H: int, N: int = 192, M: int = 128) -> Work:
    """Five products: the logits once more, dP and dV at value width, dQ and dK at query/key width."""
    return Work(B * H * T * T * (3 * N + 2 * M), BF16 * B * T * H * (4 * N + 4 * M))


def latent_attention(B: int, S: int, H: int, C: int = 512, X: int = 576) -> Work:
    """One absorbed decoding step: each cached latent is read once and serves all heads, as key (X) and as value (C)."""
    return Work(2 * B * S * H * (X + C), BF16 * B * (S * X + H * (X + C)))


# ---- experts ---------------------------------------------------------------------------------------------------------


def grouped_mlp_forward(T: int, K: int, E: int, D: int, F: int) -> Work:
    """Gate, up and down for every assignment; every expert's weights, the tokens in and the tokens out."""
    return Work(6 * T * K * D * F, BF16 * (3 * E * D * F + 2 * T * D))


def grouped_mlp_backward(T: int, K: int, E: int, D: int, F: int) -> Work:
    """First the gradient of the data (again all weights), then that of the weights, written in fp32: as much work each.

    The second phase reads tokens and incoming gradients, gate and up as saved, and their gradients from the first.
    """
    tokens, hidden = BF16 * T * D, BF16 * T * K * F
    data = Work(6 * T * K * D * F, BF16 * 3 * E * D * F + 2 * tokens + 4 * hidden)
    weights = Work(6 * T * K * D * F, FP32 * 3 * E * D * F + 2 * tokens + 4 * hidden)
    return data + weights


def permute(T: int, K: int, D: int) -> Work:
    """Copying each token once for each of its experts: what a fused gather saves."""
    return Work(0, BF16 * (T * D + T * K * D))


def route(T: int, E: int, K: int = 8) -> Work:
    """Logits in fp32 read once; index (int64) and weight (fp32) of each choice written."""
    return Work(0, FP32 * T * E + (8 + FP32) * T * K)


def sort_by_expert(T: int, E: int, K: int = 8) -> Work:
    """Indices (int64) read, the order of the assignments (int64) and the experts' ends (int32) written."""
    return Work(0, 2 * 8 * T * K + 4 * E)


# ---- optimizer -------------------------------------------------------------------------------------------------------


def symmetric_product(A: int, B: int, batch: int = 1) -> Work:
    """X X^T of [A, B]: one of its two triangles."""
    return Work(batch * A * A * B, batch * BF16 * (A * B + A * A))


def newton_schulz(A: int, B: int, batch: int = 1, steps: int = 5, form: str = "plain") -> Work:
    """Of [A, B] matrices, A <= B. "plain": all products whole; "symmetric": half of each symmetric one; "gram": the iteration
    on X X^T, with a restart after two steps, so that X enters four products only.

    "gram" counts five steps: two long products and their symmetric halves twice, and 14 symmetric A x A products.
    """
    long, small = 2 * A * A * B, 2 * A**3
    flops = {
        "plain": steps * (2 * long + small),
        "symmetric": steps * (1.5 * long + small / 2),
        "gram": 2 * 1.5 * long + 14 * small / 2,
    }[form]
    return Work(batch * flops, batch * BF16 * 2 * A * B)


# ---- rows ------------------------------------------------------------------------------------------------------------


def rms_norm_forward(T: int, D: int) -> Work:
    return Work(0, BF16 * 2 * T * D)


def rms_norm_backward(T: int, D: int) -> Work:
    """Gradient and input read, gradient written; the weight's gradient is small."""
    return Work(0, BF16 * 3 * T * D)


def add_rms_norm_forward(T: int, D: int) -> Work:
    """Two read; sum and norm written."""
    return Work(0, BF16 * 4 * T * D)


def swiglu_forward(T: int, F: int) -> Work:
    return Work(0, BF16 * 3 * T * F)


def swiglu_backward(T: int, F: int) -> Work:
    """Gradient, gate and up read; two gradients written."""
    return Work(0, BF16 * 5 * T * F)


def quantize_fp8(T: int, D: int) -> Work:
    """bf16 read; one byte an element and an fp32 scale per 1x128 block written. Dequantising moves the same bytes back."""
    return Work(0, (BF16 + FP8) * T * D + FP32 * T * D / BLOCK)


def swiglu_fp8(T: int, F: int) -> Work:
    """Gate and up read; the product written in FP8 with its scales."""
    return Work(0, (2 * BF16 + FP8) * T * F + FP32 * T * F / BLOCK)


def linear_cross_entropy_forward(T: int, D: int, V: int) -> Work:
    return Work(2 * T * D * V, BF16 * (T * D + V * D))


def linear_cross_entropy_backward(T: int, D: int, V: int, recompute: bool = False) -> Work:
    """Two products, a third where the logits are computed again; hidden states and weights read, their gradients written."""
    return Work((6 if recompute else 4) * T * D * V, BF16 * 2 * (T * D + V * D))
