"""Lab 4, for the instructor: notes for the room, and sample answers (made up)."""

from labs.course.sheet import Sample, Sheet

SHEET = Sheet(
    notes={
        "newton_schulz": "Ask early what a matrix of zeros gives, and what a tall one costs",
        "muon_step": "The four details of the text are the four traps; the hints name which one it was",
        "max_logits": "The four bullets of the text, one case each: scaled, visible, signed, per head",
        "qk_clip_": "The longest part. Draw the rows of `q_b_proj` and `kv_b_proj` for two heads before anybody writes",
        "heads_beyond_100": "Nobody runs part 7 before the guess is locked",
        "explode_then_stop": "Two runs of about 20 seconds each; the loss is read beside the logits, not alone",
        "gap": "Numbers of the student's own run count, whatever the neighbour's run gave",
    },
    samples={
        "gap": (
            Sample(
                1,
                "I guessed 3 and 16 passed 100, so my guess was too low.",
                "Guess and outcome are there. Nothing says where the heads are, and the gap is only stated.",
            ),
            Sample(
                2,
                "I guessed 3 of 24, since the report has 12.7 %, and in my run 16 passed 100: all 8 heads of layers 1 and 2 "
                "and none of layer 0. The model here is much smaller than K2.",
                "Numbers, and a place that agrees with the table of the run. That it is small is true, and no cause: it does "
                "not say what the guess had left out.",
            ),
            Sample(
                3,
                "I guessed 3 of 24 from the report's 12.7 %, and 16 passed 100: all heads of layers 1 and 2, none of layer 0. "
                "I had treated heads as if each ran away on its own; here a layer does it as a whole, and the rate of 0.1 "
                "without decay gives nothing that holds the weights back, which the report's run had.",
                "Names the guess's own assumption (heads independent, decay left out) and sets it against what the table "
                "shows.",
            ),
        )
    },
)
