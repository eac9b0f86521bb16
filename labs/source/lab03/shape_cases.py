"""What the choice of a shape is tried on: more experts and a lower loss, up to what fits, and variations of that."""

from __future__ import annotations

import random

import kimi_mini as km
from kimi_mini.accounting import cache_bytes
from kimi_mini.labs import Case

_GPUS = 4


def cases(seed: int) -> tuple[Case, ...]:
    """More experts and a lower loss, up to what fits; where all fit, seeds that move together, so that pairing them matters."""
    rng = random.Random(seed)

    def shape(experts: int, loss: float) -> list:
        config = km.NANO.replace(
            n_routed_experts=experts, v_head_dim=12, moe_intermediate_size=rng.choice((40, 44)), num_hidden_layers=5
        )
        common = [0.0, 0.05, -0.04, 0.08]
        return [config, [loss + more + rng.uniform(-0.008, 0.008) for more in common]]

    def case(
        name: str,
        experts: tuple[int, ...],
        largest: int,
        users: int,
        context: int = 300,
        room: float = 1.02,
        lucky: bool = False,
    ) -> Case:
        losses = [3.0 - 0.05 * place for place in range(len(experts))]
        shapes = [shape(count, loss) for count, loss in zip(experts, losses, strict=True)]
        if lucky:  # the second best on average has the lowest loss of all
            shapes[-2][1][2] -= 0.09
            shapes[-2][1][1] += 0.08
        fitting = shapes[experts.index(largest)][0]
        need = km.count_parameters(fitting).total + cache_bytes(fitting, context * users)
        order = list(range(len(shapes)))
        rng.shuffle(order)
        return Case(name, ([shapes[place] for place in order], _GPUS, int(room * need / 0.9 / _GPUS), context, users))

    return (
        case("the largest does not fit", (8, 16, 32, 64), 32, users=4),
        case("one would fit without its cache", (8, 16, 32, 48), 32, users=16, context=900),
        case("one would fit with no tenth left free", (8, 16, 60, 64), 60, users=1, context=1500),
        case("all fit", (8, 16, 24), 24, users=3, room=3.0),
        case("all fit, one had a lucky seed", (8, 16, 24), 24, users=3, room=3.0, lucky=True),
        case("only one fits", (8, 32, 64), 8, users=4),
        case("none fits", (16, 24, 32), 16, users=2, room=0.8),
    )


def close_cases(seed: int) -> tuple[Case, ...]:
    """As `cases`, and one where the second shape is hardly worse than the third, and the first surely is."""
    rng = random.Random(seed + 1)
    first = [3.3 + rng.uniform(-0.01, 0.01) for _ in range(4)]
    third = [3.0, 3.02, 2.98, 3.01]
    second = [loss + gap for loss, gap in zip(third, (0.03, -0.02, 0.025, -0.015), strict=True)]
    configs = [km.NANO.replace(n_routed_experts=experts, v_head_dim=12) for experts in (8, 16, 24)]
    shapes = [list(pair) for pair in zip(configs, (first, second, third), strict=True)]
    roomy = int(2 * km.count_parameters(configs[2]).total)
    return (Case("two that cannot be told apart", (shapes, _GPUS, roomy, 100, 2)), *cases(seed))


def apart_cases(seed: int) -> tuple[Case, ...]:
    """As `cases`, with memory for one GPU's share: copies of all else, a part of the experts, some users' caches."""
    found = []
    for case in cases(seed):
        shapes, gpus, _, context, users = case.args
        users = 4 * users + (case.name != "one would fit with no tenth left free")

        def share(config: km.ModelConfig, context: int = context, users: int = users) -> float:
            count = km.count_parameters(config)
            routed = count["routed experts"].total
            return count.total - routed + routed / _GPUS + cache_bytes(config, context * -(-users // _GPUS))

        needs = sorted(share(config) for config, _ in shapes)
        room = {"none fits": 0.8 * needs[0], "only one fits": 1.01 * needs[0]}
        memory = int((1.2 * needs[-1] if case.name.startswith("all fit") else room.get(case.name, 1.005 * needs[-2])) / 0.9)
        found.append(Case(case.name, (shapes, gpus, memory, context, users)))
    return tuple(found)


def unlucky_cases(seed: int) -> tuple[Case, ...]:
    """As `cases`, with one bad seed for the shape that is best on average where all fit."""
    found = list(cases(seed))
    place = next(i for i, case in enumerate(found) if case.name == "all fit")
    shapes, *rest = found[place].args
    order = sorted(range(len(shapes)), key=lambda i: sum(shapes[i][1]))
    changed = [[config, list(losses)] for config, losses in shapes]
    changed[order[0]][1][3] += 0.15  # still the best on average, but no longer at its worst
    found[place] = Case("all fit, one seed was unlucky", (changed, *rest))
    return tuple(found)
