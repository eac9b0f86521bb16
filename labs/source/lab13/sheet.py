"""Lab 13, for the instructor: notes for the room, and sample answers (made up)."""

from labs.course.sheet import Sample, Sheet

_ONE = "1. Does not hold: 72.7 is Claude Sonnet 4's, Claude Opus 4 has 72.5 (Table 3)."
_TWO = "2. Not said so: the reward is general, r(x, y), and only the safety judge is called binary (section 3.2)."
_THREE = "3. Does not hold: what MLA saves is the cache; decoding from it costs more FLOPs per head (chapter 3)."

SHEET = Sheet(
    notes={
        "sentences_hold": "Nobody looks anything up before the guess is locked",
        "sentences": "Three verdicts on the board: holds, does not hold, not said. Insist on the place",
        "two_means": "Ask who would count a missing figure as 0, and what it would do to the order",
        "gap": "What is drawn anew: questions or answers? Settle that before anybody writes",
        "knob": "A plan without a measurement is a wish; say so early",
    },
    samples={
        "sentences": (
            Sample(
                2,
                f"{_ONE}\n4. Holds: 64 heads against 128 (Table 2).\n2, 3 and 6 to 8 do not hold. 5, 9 and 10 hold.",
                "Two sentences have a place and a reason. The others are bare verdicts.",
            ),
            Sample(
                6,
                f"{_ONE}\n{_TWO}\n{_THREE}\n4. Holds: 64 heads against 128 (Table 2).\n"
                "6. Does not hold: the sign is that of the matrix, found by Newton-Schulz (chapter 7).\n"
                "8. Does not hold: 83 % more FLOPs at 128k (section 2.3).\n5, 9 and 10 hold, 7 does not.",
                "Six are argued, four are not.",
            ),
            Sample(
                10,
                f"{_ONE}\n{_TWO}\n{_THREE}\n4. Holds: 64 heads against 128 (Table 2).\n"
                "5. Holds as the report's own claim, and Fig. 3 leaves out the start.\n"
                "6. Does not hold: the sign is that of the matrix, found by Newton-Schulz (chapter 7).\n"
                "7. Not said so: 3,000 real and 20,000 synthetic, never added up (section 3.1).\n"
                "8. Does not hold: 83 % more FLOPs at 128k (section 2.3).\n"
                "9. Holds: verifiable rollouts keep updating the critic (section 3.2.2).\n"
                "10. Holds (Table 3); it says as much about the verifier that picks.",
                "Each verdict has its place and what stands there.",
            ),
        ),
        "knob": (
            Sample(
                1,
                "The weight of the PTX loss is not published; section 3.2.3 only says that there is one.\n"
                "I would ask the authors, or try some values until it works.",
                "A knob and its place. Nothing is measured.",
            ),
            Sample(
                2,
                "The speed of the router's bias is not published.\n"
                "I would train a small model at several speeds and measure how long the largest load of an expert stays above "
                "the mean.",
                "A knob and a measurement. What it would say about K2's own value is left open.",
            ),
            Sample(
                3,
                "The speed of the router's bias is not published.\n"
                "The biases are in the released weights: with steps of one size, their differences are whole multiples of it, "
                "so I would look for a common step in them.\n"
                "If there is one, every speed that is not a multiple of it is ruled out; if the rate was changed at the end "
                "there is none, and I have learned only that.",
                "A measurement on what is released, and what each outcome would mean.",
            ),
        ),
    },
)
