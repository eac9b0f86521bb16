"""Which shape to serve on four GPUs: all experts must fit, the cache must fit, and a gain is no gain without its interval."""

from __future__ import annotations

from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

from .shape_cases import apart_cases, cases, close_cases, unlucky_cases

SOLUTION = '''
import kimi_mini as km


def recommend(shapes, gpus, gpu_bytes, context, users):
    """Which of the shapes to serve, and by how much it is the better one.

    shapes      a list of [config, losses]: a km.ModelConfig, and its held-out losses, one for each seed; the seeds are the
                same for all shapes
    gpus        how many GPUs there are
    gpu_bytes   memory of each
    context     cached tokens of a user
    users       how many users at once

        weights   1 byte for every parameter that is stored, km.count_parameters(config)
        cache     2 bytes for every cached number: kv_lora_rank + qk_rope_head_dim, in every layer, for every token
        fits      weights + cache <= 0.9 of the memory of all GPUs: a tenth stays free for all else
        choice    of the shapes that fit, the one with the lowest mean loss
        gain      loss of the second best shape that fits - loss of the choice, seed by seed; of these differences the
                  mean, and as interval mean - 2 s / sqrt(n) to mean + 2 s / sqrt(n), where n is the number of seeds and
                  s^2 = (sum of squared deviations from the mean) / (n - 1)

    Returns a dict:
        "fits"     [True or False for each shape]
        "choice"   the number of the chosen shape in the list, or None if none fits
        "gain"     [low, high], or None if fewer than two fit
    """

    def need(c):
        stored = km.count_parameters(c).total
        weights = 1 * stored
        cached = 2 * (c.kv_lora_rank + c.qk_rope_head_dim) * c.num_hidden_layers
        cache = cached * context * users
        return weights + cache

    def judged(losses):
        return sum(losses) / len(losses)

    def interval(first, second):
        gaps = [after - before for before, after in zip(first, second)]
        n, mean = len(gaps), sum(gaps) / len(gaps)
        s = (sum((gap - mean) ** 2 for gap in gaps) / (n - 1)) ** 0.5
        return [mean - 2 * s / n**0.5, mean + 2 * s / n**0.5]

    memory = gpus * gpu_bytes
    fits = [need(config) <= 0.9 * memory for config, _ in shapes]
    able = [place for place in range(len(shapes)) if fits[place]]
    able.sort(key=lambda place: judged(shapes[place][1]))
    best = [shapes[place][1] for place in able]
    choice = able[0] if able else None
    gain = interval(best[0], best[1]) if len(best) > 1 else None
    return {"fits": fits, "choice": choice, "gain": gain}
'''

PACKAGE = """
import statistics

import kimi_mini as km
from kimi_mini.accounting import cache_bytes


def recommend(shapes, gpus, gpu_bytes, context, users):
    def need(config):
        return km.count_parameters(config).total + cache_bytes(config, context * users)

    fits = [need(config) <= 0.9 * gpus * gpu_bytes for config, _ in shapes]
    able = sorted((statistics.fmean(losses), place) for place, (_, losses) in enumerate(shapes) if fits[place])
    gain = None
    if len(able) > 1:
        first, second = (shapes[place][1] for _, place in able[:2])
        gaps = [after - before for before, after in zip(first, second, strict=True)]
        mean, reach = statistics.fmean(gaps), 2 * statistics.stdev(gaps) / len(gaps) ** 0.5
        gain = [mean - reach, mean + reach]
    return {"fits": fits, "choice": able[0][1] if able else None, "gain": gain}
"""

PRACTICE = Variant(
    "one byte a weight",
    SOLUTION,
    cases,
    (
        Mistake(
            "only active weights must fit",
            "km.count_parameters(c).total",
            "km.count_parameters(c).activated",
            "Only the active weights were given room. Any token may choose any expert: all of them must be in memory.",
        ),
        Mistake(
            "no room for cache",
            "return weights + cache",
            "return weights",
            "The cache was given no room. Every user's tokens stay in memory beside the weights.",
        ),
        Mistake(
            "cache of one user",
            "cached * context * users",
            "cached * context",
            "The cache of one user was counted. There are `users` of them at once.",
        ),
        Mistake(
            "cache by heads",
            "(c.kv_lora_rank + c.qk_rope_head_dim) * c.num_hidden_layers",
            "(c.kv_lora_rank + c.qk_rope_head_dim) * c.num_attention_heads * c.num_hidden_layers",
            "The cache was multiplied by the heads. The latent is shared by all of them.",
        ),
        Mistake(
            "no tenth left free",
            "0.9 * memory",
            "1.0 * memory",
            "All memory was filled. A tenth stays free.",
        ),
        Mistake(
            "memory of one GPU",
            "memory = gpus * gpu_bytes",
            "memory = gpu_bytes",
            "One GPU was taken for all. Weights and caches are spread over `gpus` of them.",
        ),
        Mistake(
            "choice among all",
            "if fits[place]]",
            "]",
            "A shape that does not fit took part in the choice.",
        ),
        Mistake(
            "best seed",
            "return sum(losses) / len(losses)",
            "return min(losses)",
            "Shapes were judged by their best seed. The mean over seeds is asked for.",
        ),
        Mistake(
            "no interval on the gain",
            "return [mean - 2 * s / n**0.5, mean + 2 * s / n**0.5]",
            "return [mean, mean]",
            "The gain has no interval. Without one nobody can tell it from the luck of a seed.",
        ),
        Mistake(
            "interval of the seeds",
            "return [mean - 2 * s / n**0.5, mean + 2 * s / n**0.5]",
            "return [mean - 2 * s, mean + 2 * s]",
            "This is the spread of single seeds. The mean of n seeds is surer by the root of n.",
        ),
        Mistake(
            "divided by n",
            "/ (n - 1)) ** 0.5",
            "/ n) ** 0.5",
            "The squared deviations were divided by n. They are n - 1 here, as the mean was taken from the same seeds.",
        ),
        Mistake(
            "not seed by seed",
            "gaps = [after - before for before, after in zip(first, second)]",
            "gaps = [after - before for before, after in zip(sorted(first), second)]",
            "A seed was not compared with itself. It moves all shapes alike, and the difference must cancel that.",
        ),
        Mistake(
            "gain over the worst",
            "interval(best[0], best[1])",
            "interval(best[0], best[-1])",
            "The gain was taken over the worst shape that fits. It is over the second best: what else would you serve?",
        ),
    ),
)

RECOMMEND = Coding(
    "recommend",
    "A shape for four GPUs",
    minutes=12,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "every GPU keeps every cache",
            "Attention is split over the GPUs by heads, so every GPU needs the whole latent cache of all users; the weights "
            "are spread as before.",
            (
                "in every layer, for every token\n",
                "in every layer, for every token;\n                  every GPU holds all of it\n",
            ),
            ("cache = cached * context * users", "cache = gpus * cached * context * users"),
            besides=("memory of one GPU",),
            also=(
                Mistake(
                    "cache held once",
                    "cache = gpus * cached",
                    "cache = cached",
                    "The cache was counted once. Every GPU holds all of it.",
                ),
                Mistake(
                    "weights on every GPU too",
                    "weights = 1 * stored",
                    "weights = gpus * stored",
                    "The weights were copied to every GPU. They are spread over the GPUs; only the cache is not.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "as small as can be",
            "The choice is the smallest shape (fewest stored parameters) of those that fit and whose loss is not surely "
            "worse than the lowest: the interval of (its loss - the lowest shape's), as below, reaches 0 or less. The gain "
            "stays what the lowest mean has over the second.",
            (
                "        choice    of the shapes that fit, the one with the lowest mean loss\n"
                "        gain      loss of the second best shape that fits - loss of the choice, seed by seed; ",
                "        lowest    of the shapes that fit, the one with the lowest mean loss\n"
                "        choice    of the shapes that fit, the smallest that is not surely worse than the lowest: either it\n"
                "                  is the lowest, or the interval of (its loss - the lowest's) begins at 0 or below\n"
                "        gain      loss of the second best shape that fits - loss of the lowest, seed by seed; ",
            ),
            (
                "choice = able[0] if able else None",
                "alike = [p for p in able if p == able[0] or interval(best[0], shapes[p][1])[0] <= 0]\n"
                "    choice = min(alike, key=lambda p: km.count_parameters(shapes[p][0]).total, default=None)",
            ),
            cases=close_cases,
            also=(
                Mistake(
                    "the lowest all the same",
                    "choice = min(alike, key=lambda p: km.count_parameters(shapes[p][0]).total, default=None)",
                    "choice = able[0] if able else None",
                    "The shape with the lowest mean was chosen. A smaller one that is not surely worse goes before it.",
                ),
                Mistake(
                    "the smallest of all",
                    "choice = min(alike,",
                    "choice = min(able,",
                    "The smallest shape was chosen though it is surely worse: its interval lies above 0.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "experts apart, the rest copied",
            "Attention is split by users: every GPU holds a copy of all weights but the routed experts, which are spread "
            "over the GPUs, and the caches of ceil(users / gpus) users. All of this must fit into 0.9 of one GPU's memory. "
            'The routed experts are km.count_parameters(config)["routed experts"].total.',
            (
                "        fits      weights + cache <= 0.9 of the memory of all GPUs: a tenth stays free for all else\n",
                '        a GPU     holds 1 / gpus of the routed experts (km.count_parameters(config)["routed experts"]),\n'
                "                  all other weights, and the caches of ceil(users / gpus) users\n"
                "        fits      what a GPU holds <= 0.9 of its memory: a tenth stays free for all else\n",
            ),
            (
                "weights = 1 * stored",
                'routed = km.count_parameters(c)["routed experts"].total\n        weights = routed / gpus + (stored - routed)',
            ),
            ("cached * context * users", "cached * context * -(-users // gpus)"),
            ("memory = gpus * gpu_bytes", "memory = gpu_bytes"),
            cases=apart_cases,
            besides=("memory of one GPU", "cache of one user", "only active weights must fit"),
            also=(
                Mistake(
                    "all weights spread",
                    "weights = routed / gpus + (stored - routed)",
                    "weights = stored / gpus",
                    "Everything was spread. Only the routed experts are: each GPU needs all else for its own users.",
                ),
                Mistake(
                    "users rounded down",
                    "-(-users // gpus)",
                    "(users // gpus)",
                    "The users were rounded down. Some GPU has ceil(users / gpus) of them, and it must fit there too.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "the worst seed counts",
            "A shape is judged by its worst seed: the choice is the shape that fits with the lowest largest loss, and the "
            "second best is the next by that measure. The gain is computed as before.",
            (
                "the one with the lowest mean loss\n",
                "the one whose largest loss over the seeds is the lowest;\n"
                "                  second best is the next by that measure\n",
            ),
            ("return sum(losses) / len(losses)", "return max(losses)"),
            cases=unlucky_cases,
            also=(
                Mistake(
                    "mean over seeds",
                    "return max(losses)",
                    "return sum(losses) / len(losses)",
                    "Shapes were judged by their mean. Here the worst seed counts.",
                ),
            ),
        ),
    ),
)
