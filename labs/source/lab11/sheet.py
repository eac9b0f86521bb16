"""Lab 11, for the instructor: notes for the room, and sample answers (made up)."""

from labs.course.sheet import Sample, Sheet

SHEET = Sheet(
    notes={
        "verdict": "Let two people judge the same pair of jokes, read out in both orders, before anybody writes",
        "rewards": "Who should be paid more: the best of three bad answers, or the worst of three good ones?",
        "name_the_hack": "Ask for a reason why long answers score well that has nothing to do with length",
        "lessons": "Three columns at the board: what the critic may see, what the authors know, what nobody knows",
        "defended": "Collect honest sentences with a word of praise in them first; a rule that hurts them is too wide",
        "frozen_praise": "Nobody runs the actor before the guess is locked. Take a show of hands",
        "gap": "Two or three sentences about the student's own output. The loop stops paying for praise and does not undo it: "
        "let the room find out why",
    },
    samples={
        "gap": (
            Sample(
                1,
                "I guessed 70 % and it was 98 % praise, with truth 0.49.\nSo a frozen critic is bad, as the report says.",
                "Guess and outcome are there. No score beside the truth, no second run, and a rule that the report "
                "does not state.",
            ),
            Sample(
                2,
                "I guessed 70 % and it was 98 % praise, with truth 0.49.\n"
                "The frozen critic's score went up to 0.89 while the truth stayed below a half; with the rule the "
                "score is only 0.62 "
                "and the truth 0.99.\nThe rule is the better critic.",
                "Scores are set beside truths for two runs and read well. Nothing about what was left unpunished.",
            ),
            Sample(
                3,
                "I guessed 70 % and it was 98 % praise, with truth 0.49.\n"
                "The frozen critic's score went up to 0.89 while the truth stayed below a half; with the rule the "
                "score is only 0.62 "
                "and the truth 0.99.\n"
                "The loop taught the critic not to pay for praise, but nothing punished the praise that was there "
                "already, so 94 % "
                "of the answers kept it.",
                "Numbers of two runs, and the third sentence says what the loop did not do.",
            ),
        )
    },
)
