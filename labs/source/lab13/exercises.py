"""Lab 13, audit: its exercises in the order of the notebook."""

from labs.course.exercise import Guess, LabSpec, Written

from .gap import GAP
from .means import MEANS

LAB = LabSpec(
    "lab13",
    "Audit",
    "ranking",
    (
        Guess("sentences_hold", "How many of ten sentences will hold?", minutes=2, points=1, low=0, high=10),
        Written(
            "sentences",
            "Judge ten sentences",
            minutes=23,
            points=10,
            rubric="1 point a sentence: the verdict (holds, does not hold, not said) with what the source says instead and "
            "where (a section, a table, a page of the book). No point for a verdict alone. "
            "1: does not hold; 72.7 is Claude Sonnet 4's, Claude Opus 4 has 72.5 (Table 3), both the vendor's own. "
            "2: not said so; the report keeps r(x, y) general, binary is said of the safety judge (3.2). "
            "3: does not hold; the cache is small, absorbed decoding costs more FLOPs per head (chapter 3). "
            "4: holds (Table 2: 64 against 128). "
            "5: holds as the report's own claim; its figure leaves out the first part (Fig. 3). "
            "6: does not hold; msign is the matrix sign, no entry gets a sign. "
            "7: not said so; 3,000 and more real, 20,000 and more synthetic, never added (3.1). "
            "8: does not hold; 83 % more FLOPs at 128k (2.3). "
            "9: holds (3.2.2, the closed loop). "
            "10: holds (Table 3), and it measures the verifier too.",
        ),
        MEANS,
        GAP,
        Written(
            "knob",
            "One unpublished knob",
            minutes=10,
            points=3,
            rubric="1 point: names one quantity that the sources do not give (a rate, a weight, a mixture, K, tau, a number of "
            "GPUs) and where it ought to stand. 1 point: names a measurement, on the released weights or by a run of one's "
            "own, that would narrow it down, with what would be read off. 1 point: says what outcome would rule out a value, "
            "or why it cannot be found out. No point for a plan that measures nothing ('ask the authors', 'read the code').",
        ),
    ),
)
