"""Loss spikes by a rule, on every update as it was."""

from __future__ import annotations

import random
from statistics import median

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
from statistics import median


def find_spikes(losses, window, times):
    """Where a loss stands out of the losses before it.

    losses   the loss of every update, as it was
    window   how many losses before an update it is compared with; the first `window` updates are not judged
    times    how many robust standard deviations make a spike

        middle    the median of the `window` losses before the update
        scatter   1.4826 times the median of their distances from `middle`
        marked    an update whose loss is higher than middle + times * scatter
        spike     marked updates, each at most `window` updates after the one before, are one spike

    Returns a list of [first, last] update of each spike, counted from 0.
    """
    found = []
    for update in range(window, len(losses)):
        before = losses[update - window : update]
        middle = median(before)
        scatter = 1.4826 * median(abs(loss - middle) for loss in before)
        if losses[update] > middle + times * scatter:
            if found and update - found[-1][1] <= window:
                found[-1][1] = update
            else:
                found.append([update, update])
    return found
'''

PACKAGE = """
from kimi_mini.train import spikes


def find_spikes(losses, window, times):
    return [list(spike) for spike in spikes.find_spikes(losses, window=window, deviations=times)]
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Losses that fall and scatter, with spikes alone, close together, far apart, early, and downwards."""
    rng = random.Random(seed)

    def losses(updates: int, spikes: dict[int, float]) -> list[float]:
        flat = [round(3 + 2 * 0.97**i + rng.uniform(-0.15, 0.15), 3) for i in range(updates)]
        return [round(loss + spikes.get(i, 0.0), 3) for i, loss in enumerate(flat)]

    def nearly(updates: int, at: int, window: int) -> list[float]:
        """One loss that lies 7.4 median distances above the median: 5 robust standard deviations, not 6."""
        found = losses(updates, {})
        before = found[at - window : at]
        middle = median(before)
        found[at] = middle + 7.4 * median(abs(loss - middle) for loss in before)
        return found

    at = rng.randint(60, 70)
    return (
        Case("one spike of one update", (losses(120, {at: 1.6}), 20, 6.0)),
        Case("nearly a spike", (nearly(120, at + 20, 20), 20, 6.0)),
        Case("a window of three", (losses(40, {20: 9.0, 21: 9.0, 30: 9.0}), 3, 8.0)),
        Case("two that are one, and one far away", (losses(140, {50: 4.0, 51: 2.5, 58: 3.0, 110: 3.0}), 16, 6.0)),
        Case("a jump in the first updates, and a fall", (losses(120, {6: 5.0, 70: -1.5, 100: 2.5}), 20, 6.0)),
        Case("a great spike before a small one", (losses(140, {60: 40.0, 74: 1.8}), 12, 6.0)),
    )


PRACTICE = Variant(
    "upwards",
    SOLUTION,
    cases,
    (
        Mistake(
            "counted after smoothing",
            "    found = []\n",
            "    found, n = [], 10\n    losses = [sum(losses[max(0, i - n + 1) : i + 1]) / min(n, i + 1) for i in "
            "range(len(losses))]\n",
            "The losses were smoothed first. A mean of ten updates hides a spike of one, or moves it.",
        ),
        Mistake(
            "mean and standard deviation",
            "        middle = median(before)\n        scatter = 1.4826 * median(abs(loss - middle) for loss in before)\n",
            "        middle = sum(before) / window\n"
            "        scatter = (sum((loss - middle) ** 2 for loss in before) / window) ** 0.5\n",
            "Mean and standard deviation were taken. A spike raises both, and hides the next one: take medians.",
        ),
        Mistake(
            "the update in its own window",
            "losses[update - window : update]",
            "losses[update - window + 1 : update + 1]",
            "The update was compared with a window that holds it. The window ends before it.",
        ),
        Mistake(
            "falls counted",
            "if losses[update] > middle + times * scatter:",
            "if abs(losses[update] - middle) > times * scatter:",
            "A fall was called a spike. Only rises are.",
        ),
        Mistake(
            "every marked update a spike",
            "if found and update - found[-1][1] <= window:",
            "if False:",
            "Marked updates close together were counted apart. They are one spike.",
        ),
        Mistake(
            "all one spike",
            "if found and update - found[-1][1] <= window:",
            "if found:",
            "Spikes far apart were joined. Only marked updates at most `window` apart are one.",
        ),
        Mistake(
            "scatter not made robust",
            "scatter = 1.4826 * median(",
            "scatter = 1.0 * median(",
            "The factor 1.4826 is missing: it makes the median distance a standard deviation.",
        ),
        Mistake(
            "the beginning judged",
            "for update in range(window, len(losses)):\n        before = losses[update - window : update]",
            "for update in range(5, len(losses)):\n        before = losses[max(0, update - window) : update]",
            "An update among the first `window` was judged. They have too short a past.",
        ),
    ),
)

SPIKES = Coding(
    "find_spikes",
    "Count spikes",
    minutes=10,
    difficulty=1,
    points=2,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "both ways",
            "A loss that stands out downwards is marked too, by the same distance.",
            (
                "        marked    an update whose loss is higher than middle + times * scatter\n",
                "        marked    an update whose loss is farther than times * scatter from middle, above or below\n",
            ),
            (
                "if losses[update] > middle + times * scatter:",
                "if abs(losses[update] - middle) > times * scatter:",
            ),
        ),
        twist(
            PRACTICE,
            "neighbours within three",
            "Marked updates are one spike only where each is at most 3 updates after the one before.",
            ("each at most `window` updates after the one before", "each at most 3 updates after the one before"),
            ("update - found[-1][1] <= window:", "update - found[-1][1] <= 3:"),
        ),
        twist(
            PRACTICE,
            "the largest update",
            "Of each spike [update, height] is returned: the update with the highest loss in it, and how far that loss "
            "stands above "
            "the middle of its own window.",
            (
                "    Returns a list of [first, last] update of each spike, counted from 0.\n",
                "    Returns a list of [update, height] of each spike: its update with the highest loss, counted from "
                "0, and that\n"
                "    loss - middle.\n",
            ),
            ("    found = []\n", "    found, last = [], None\n"),
            (
                "            if found and update - found[-1][1] <= window:\n                found[-1][1] = update\n"
                "            else:\n                found.append([update, update])\n",
                "            rise = [update, losses[update] - middle]\n"
                "            if found and update - last <= window:\n"
                "                if losses[update] > losses[found[-1][0]]:\n                    found[-1] = rise\n"
                "            else:\n                found.append(rise)\n            last = update\n",
            ),
            besides=("every marked update a spike", "all one spike"),
            also=(
                Mistake(
                    "the last update of a spike",
                    "if losses[update] > losses[found[-1][0]]:",
                    "if True:",
                    "The last marked update of a spike was returned. It is the one with the highest loss.",
                ),
                Mistake(
                    "never joined",
                    "if found and update - last <= window:",
                    "if False:",
                    "Marked updates close together were returned apart. They are one spike.",
                ),
            ),
        ),
    ),
)
