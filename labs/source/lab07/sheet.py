"""Lab 7, for the instructor: notes for the room, and sample answers (made up)."""

from labs.course.sheet import Sample, Sheet

SHEET = Sheet(
    notes={
        "masked_add": "Draw 35 numbers in blocks of 16 on the board; who touches place 40?",
        "rms_norm": "For every line of the kernel: what do the empty columns do to it? Walk through it once together",
        "tile_product": "Addresses on paper first, for a 2 x 3 matrix. Say again: bf16 products are wrong in the interpreter",
        "online_attention": "The longest part. Nobody writes before one tile of four and two tiles of two agree on paper",
        "attention_with_maxima": "Ask what a head of only negative logits gives before anybody runs it",
        "kilobytes": "Paper only; nobody runs part 7 before the guess is locked",
        "traffic": "Whoever is early counts the kernel of part 4, where two things are read again and again",
        "gap": "On a GPU nothing is counted, so guess and formula are compared there",
    },
    samples={
        "gap": (
            Sample(
                1,
                "I guessed 100 kB and it was 430 kB, so I was wrong by a factor of four.\n"
                "GPUs have fast memory, so it hardly matters.",
                "Guess and outcome are there, in kB. Where the bytes come from is not said, and why the guess was low neither.",
            ),
            Sample(
                2,
                "I guessed 100 kB; my formula gave 430 kB and the count 441 kB.\n"
                "Keys and values are most of it: 307 of the 430 kB, since every tile of queries reads them again.",
                "Numbers of its own output and the right cause with its size. What the guess had left out stays open.",
            ),
            Sample(
                3,
                "I guessed 100 kB; my formula gave 430 kB and the count 441 kB, 11 of them document numbers.\n"
                "Keys and values are 307 of the 430 kB. Each of the four tiles of queries reads them up to its diagonal, "
                "160 rows a head; I had counted 64 rows, once each, and had forgotten that a number has 4 bytes only for the "
                "outputs.\nTiles of 32 would bring the 160 rows down to 96.",
                "Names what was left out with its size, and checks it on the rows: 16 + 32 + 48 + 64 = 160.",
            ),
        )
    },
)
