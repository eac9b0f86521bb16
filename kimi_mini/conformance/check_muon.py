"""Checks of a Muon: an optimizer for matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from .report import ALGORITHM, MOONLIGHT, Check, Failed, described

LR, MU = 0.1, 0.95
SHAPES = ((16, 64), (64, 16), (32, 32))
RMS = (0.16, 0.24)  # five quintic steps leave singular values between about 0.7 and 1.2, so not 0.2 exactly
SPREAD = 2.0  # largest over smallest singular value
ALIKE = 0.95  # cosine with the exact orthogonal factor
Make = Callable[..., torch.optim.Optimizer]


def muon_checks(seed: int = 0) -> list[Check]:
    """All of them. The callable is `make(params, lr=..., weight_decay=..., momentum=...)`."""

    def check(name: str, required: str, source: str, run: Callable[[Make, torch.Generator], str]) -> Check:
        return Check(name, required, source, lambda make: run(make, torch.Generator().manual_seed(seed)))

    return [
        check(
            "orthogonal",
            "The first update is the orthogonal factor U V^T of the gradient, up to its size: singular values within a "
            f"factor of {SPREAD:g}, cosine with U V^T at least {ALIKE}; tall, wide and square.",
            f"{ALGORITHM}, line 3; {MOONLIGHT}",
            _orthogonal,
        ),
        check(
            "size",
            f"Its RMS is about 0.2 for every shape (here {RMS[0]} to {RMS[1]}): the factor is 0.2 sqrt(max(A, B)).",
            f"{ALGORITHM}, line 3",
            _size,
        ),
        check(
            "momentum",
            "Later updates follow the sum mu M + G of gradients, with or without Nesterov's look ahead; an average will do.",
            f"{ALGORITHM}, line 2 (written without Nesterov); {MOONLIGHT} (with)",
            _momentum,
        ),
        check(
            "decay",
            "W loses lr * decay * W, at the plain learning rate and outside the gradient.",
            f"{ALGORITHM}, line 4",
            _decay,
        ),
        check("rate", "The learning rate that a schedule writes into param_groups is used.", "torch.optim", _rate),
        check(
            "stack",
            "Matrices do not share an update: of one shape or stacked [n, A, B], each gets its own, however small its "
            "gradient. Refusing parameters with three axes is fine.",
            f"{ALGORITHM}, line 2: for every matrix",
            _stack,
        ),
        check(
            "zero",
            "A zero gradient gives decay alone, and no gradient nothing; no NaN.",
            f"{ALGORITHM}, lines 2-4 at G = 0",
            _zero,
        ),
    ]


def planted(gen: torch.Generator, *shape: int) -> tuple[Tensor, Tensor]:
    """A matrix with singular values from 1 down to 0.03, and its orthogonal factor."""
    rank = min(shape)
    u, v = (torch.linalg.qr(torch.randn(n, rank, generator=gen, dtype=torch.float64))[0] for n in shape)
    return ((u * torch.logspace(0, math.log10(0.03), rank, dtype=torch.float64)) @ v.T).float(), (u @ v.T).float()


def trained(
    make: Make,
    weights: Iterable[Tensor],
    gradients: Iterable[list[Tensor | None]],
    lr: Iterable[float] = (),
    decay: float = 0.0,
) -> list[list[Tensor]]:
    """The weights at the start and after each step, one list each; `lr` are the rates after the first, if they change."""
    params = [nn.Parameter(weight.clone()) for weight in weights]
    optimizer = make(params, lr=LR, weight_decay=decay, momentum=MU)
    rates = iter(lr)
    history = [[p.detach().clone() for p in params]]
    for step, grads in enumerate(gradients):
        if step:
            for group in optimizer.param_groups:
                group["lr"] = next(rates, group["lr"])
        for p, grad in zip(params, grads, strict=True):
            p.grad = None if grad is None else grad.clone()
        optimizer.step()
        history.append([p.detach().clone() for p in params])
    return history


def _first(make: Make, gen: torch.Generator, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The first update of a matrix, without decay, divided by the learning rate; and the exact orthogonal factor."""
    grad, polar = planted(gen, *shape)
    (before,), (after,) = trained(make, [torch.randn(*shape, generator=gen)], [[grad]])
    return (before - after) / LR, polar


def _orthogonal(make: Make, gen: torch.Generator) -> str:
    found = []
    for shape in SHAPES:
        update, polar = _first(make, gen, shape)
        if not update.isfinite().all() or not update.any():
            raise Failed(f"{_shape(shape)}: the update is {'zero' if update.isfinite().all() else 'not finite'}")
        values, alike = torch.linalg.svdvals(update.double()), _cosine(update, polar)
        spread = (values[0] / values[-1].clamp_min(1e-12)).item()
        found.append(f"{_shape(shape)}: spread {spread:.3g}, cosine {alike:.3f}")
        if alike < 0:
            raise Failed("; ".join(found), "The update points uphill: the sign is turned round.")
        if spread > SPREAD or alike < ALIKE:
            raise Failed("; ".join(found), _direction(update, spread))
    return "; ".join(found)


def _direction(update: Tensor, spread: float) -> str:
    if (update.abs().max() / update.abs().median()).item() < 1.1:
        return "All entries have one size: the sign was taken entry by entry, as a first step of Adam does too."
    if 20 < spread < 50:
        return "The singular values are the gradient's own (1 to 0.03): nothing was made orthogonal."
    return "Too few Newton-Schulz steps, wrong coefficients, or no division by the norm before them."


def _size(make: Make, gen: torch.Generator) -> str:
    shapes = (*SHAPES, (8, 128))
    sizes = {shape: _first(make, gen, shape)[0].square().mean().sqrt().item() for shape in shapes}
    found = "RMS " + ", ".join(f"{_shape(shape)}: {rms:.3f}" for shape, rms in sizes.items())
    if all(RMS[0] <= rms <= RMS[1] for rms in sizes.values()):
        return found
    conventions = {
        "sqrt(max(1, A / B)), the scale of the original Muon": lambda a, b: math.sqrt(max(1, a / b)),
        "no scale at all": lambda a, b: 1.0,
        "0.2 sqrt(min(A, B))": lambda a, b: 0.2 * math.sqrt(min(a, b)),
        "sqrt(max(A, B)) without 0.2": lambda a, b: math.sqrt(max(a, b)),
        "0.2 max(A, B), without the root": lambda a, b: 0.2 * max(a, b),
        "0.2 sqrt(A B)": lambda a, b: 0.2 * math.sqrt(a * b),
    }
    for name, scale in conventions.items():
        as_orthogonal = [rms * math.sqrt(max(shape)) / scale(*shape) for shape, rms in sizes.items()]
        if all(RMS[0] / 0.2 <= size <= RMS[1] / 0.2 for size in as_orthogonal):
            raise Failed(found, f"The sizes fit {name}.")
    raise Failed(found)


def _momentum(make: Make, gen: torch.Generator) -> str:
    shape = SHAPES[0]
    gradients = [torch.randn(*shape, generator=gen) for _ in range(5)]
    *_, (before,), (after,) = trained(make, [torch.randn(*shape, generator=gen)], [[g] for g in gradients])
    summed, averaged = torch.zeros(shape), torch.zeros(shape)
    for grad in gradients:
        summed, averaged = MU * summed + grad, MU * averaged + (1 - MU) * grad
    accepted = {"with Nesterov": MU * summed + grad, "without Nesterov": summed}
    wrong = {
        "Only the newest gradient counts: the momentum is not kept from step to step.": grad,
        "The momentum is an average and the look ahead adds a whole gradient: the newest one outweighs it.": grad
        + MU * averaged,
    }
    alike = {name: _cosine(before - after, _polar(matrix)) for name, matrix in (accepted | wrong).items()}
    best = max(alike, key=alike.__getitem__)
    numbers = ", ".join(f"{name} {alike[name]:.3f}" for name in accepted)
    newest = max(alike[name] for name in wrong)
    found = f"fifth update, cosine with the momentum {numbers}; with a gradient alone {newest:.3f}"
    if best in accepted and alike[best] >= ALIKE:
        return f"{found}: it is {best}"
    raise Failed(found, best if best in wrong and alike[best] >= ALIKE else "")


def _decay(make: Make, gen: torch.Generator) -> str:
    decay, found = 0.3, []
    for shape in SHAPES:
        weight, gradients = torch.randn(*shape, generator=gen), [[planted(gen, *shape)[0]]]
        runs = [trained(make, [weight], gradients, decay=d)[-1][0] for d in (0.0, decay)]
        lost = (runs[0] - runs[1]).double() / (LR * decay)
        share = ((lost * weight).sum() / weight.double().square().sum()).item()
        rest = ((lost - share * weight).norm() / weight.norm()).item()
        after = (lost - runs[0]).norm() / weight.norm()  # W - lr O decays, not W
        found.append(f"{_shape(shape)}: {share:.4f} lr decay W, the rest {rest:.1g}")
        if after < 1e-4 and rest > 1e-4:
            found[-1] += " (the updated weight decays)"
        elif abs(share - 1) > 1e-3 or rest > 1e-3:
            raise Failed("; ".join(found), _decay_cause(share, rest, shape))
    return "; ".join(found)


def _decay_cause(share: float, rest: float, shape: tuple[int, int]) -> str:
    if rest < 1e-3 and abs(share) < 1e-3:
        return "weight_decay has no effect."
    if rest < 1e-3 and abs(share / (0.2 * math.sqrt(max(shape))) - 1) < 0.01:
        return "The decay is multiplied by 0.2 sqrt(max(A, B)) too: that factor belongs to the update alone."
    if rest < 1e-3 and abs(share * LR - 1) < 0.01:
        return "The decay is not multiplied by the learning rate."
    if rest < 1e-3:
        return "The decay runs at another rate than the plain learning rate."
    return "The decay is not decoupled: it was added to the gradient, and went through Newton-Schulz."


def _rate(make: Make, gen: torch.Generator) -> str:
    weight = torch.randn(*SHAPES[0], generator=gen)
    gradients = [[torch.randn(*SHAPES[0], generator=gen)] for _ in range(2)]
    sizes = []
    for rate in (LR, LR / 4):
        *_, (before,), (after,) = trained(make, [weight], gradients, lr=[rate])
        sizes.append((before - after).norm())
    share = (sizes[1] / sizes[0]).item()
    if abs(share - 0.25) > 1e-3:
        raise Failed(f"at a quarter of the rate the update is x{share:.3f}", "The rate was copied when the optimizer was made.")
    return f"at a quarter of the rate the update is x{share:.4f}"


def _stack(make: Make, gen: torch.Generator) -> str:
    sizes = (1.0, 1e-3, 10.0)
    gradients = [planted(gen, 16, 32)[0] * size for size in sizes]
    weights = [torch.randn(16, 32, generator=gen) for _ in sizes]
    alone = [_update(trained(make, [w], [[g]]))[0] for w, g in zip(weights, gradients, strict=True)]
    together = _update(trained(make, weights, [gradients]))
    found = [f"three parameters of one shape: off by {_off(together, alone):.1g}"]
    cause = "Matrices were flattened or joined into one before Newton-Schulz: a small gradient gets hardly any update."
    if _off(together, alone) > 0.05:
        raise Failed(found[0], cause)
    try:
        (slab,) = _update(trained(make, [torch.stack(weights)], [[torch.stack(gradients)]]))
    except Exception as error:
        return f"{found[0]}; a stack is refused ({described(error)})"
    found.append(f"a stack of three: off by {_off(list(slab), alone):.1g}")
    if _off(list(slab), alone) > 0.05:
        raise Failed(
            "; ".join(found),
            f"{cause} (Flattening is meant for convolutions. If stacks never occur, let the adapter refuse them.)",
        )
    return "; ".join(found)


def _zero(make: Make, gen: torch.Generator) -> str:
    weights = [torch.randn(8, 24, generator=gen) for _ in range(2)]
    zeroed, untouched = trained(make, weights, [[torch.zeros(8, 24), None]], decay=0.3)[-1]
    wanted = weights[0] * (1 - LR * 0.3)
    if not zeroed.isfinite().all():
        raise Failed("with a zero gradient the weight is not finite any more", "A division by the norm without an epsilon.")
    if not torch.allclose(zeroed, wanted, rtol=1e-5, atol=1e-7):
        raise Failed(f"with a zero gradient the weight is off by {(zeroed - wanted).abs().max():.1e} from decay alone")
    if not untouched.equal(weights[1]):
        raise Failed("a parameter without a gradient has changed")
    return "decay alone; the parameter without a gradient is the same bit by bit"


def _update(history: list[list[Tensor]]) -> list[Tensor]:
    return [before - after for before, after in zip(*history[-2:], strict=True)]


def _off(found: list[Tensor], wanted: list[Tensor]) -> float:
    return max(((f - w).norm() / w.norm()).item() for f, w in zip(found, wanted, strict=True))


def _polar(matrix: Tensor) -> Tensor:
    u, _, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    return u @ vh


def _cosine(a: Tensor, b: Tensor) -> float:
    return torch.nn.functional.cosine_similarity(a.double().flatten(), b.double().flatten(), 0).item()


def _shape(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"
