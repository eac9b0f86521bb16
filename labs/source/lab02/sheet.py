"""Lab 2, for the instructor: notes for the room, and sample answers (made up)."""

from labs.course.sheet import Sample, Sheet

SHEET = Sheet(
    notes={
        "router": "The bias chooses and the plain scores weigh: have it said aloud before anybody writes",
        "grouped_choice": "Ask what a dropped group's score must be when all scores are negative",
        "dispatch_and_combine": "The longest part. An expert that nobody chose is the case to think of first",
        "move_bias": "Which sign? Let somebody say what should happen to an expert that is too busy",
        "load_row": "What must a row add up to? K times tokens: ask it before anybody trains",
        "busiest": "Nobody runs part 7 before the guess is locked",
        "load_plot": "The text is about the student's own two logs; who tried several speeds writes about the last",
    },
    samples={
        "load_plot": (
            Sample(
                1,
                "At 0.001 max/mean went from 6.1 to 5.2, and at my speed of 0.02 it went from 5.0 to 1.4.\n"
                "So a higher speed is better, because the experts are balanced faster.",
                "Both speeds with start and end. No sum and no mean; why is only said in other words; nothing on the loss.",
            ),
            Sample(
                3,
                "At 0.001 max/mean went from 6.1 to 5.2, and at my speed of 0.02 it went from 5.0 to 1.4.\n"
                "A row adds up to 40,960: each of 20 x 1,024 tokens makes two choices; the mean of 16 experts is 2,560.\n"
                "In 80 updates a bias moves by 0.08 at most at speed 0.001, so two of them come apart by 0.16, and that "
                "was too little. In my run single updates are at 2.0 where all 20 together are at 1.4: it swings.\n"
                "The loss was 0.02 lower with my speed, so balance makes the model better.",
                "Speeds, sums and both reasons are there. The last sentence makes a rule of one seed and 0.02.",
            ),
            Sample(
                4,
                "At 0.001 max/mean went from 6.1 to 5.2, and at my speed of 0.02 it went from 5.0 to 1.4.\n"
                "A row adds up to 40,960: each of 20 x 1,024 tokens makes two choices; the mean of 16 experts is 2,560.\n"
                "In 80 updates a bias moves by 0.08 at most at speed 0.001, so two of them come apart by 0.16, and that "
                "was too little. In my run single updates are at 2.0 where all 20 together are at 1.4: the steps are so large "
                "that the load swings around its goal.\n"
                "The loss differed by 0.02, which with one seed says only that balance cost nothing that I can see.",
                "All four points: and the loss is said with what one seed allows.",
            ),
        )
    },
)
