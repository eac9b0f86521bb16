"""Lab 5, for the instructor: notes for the room, and sample answers (made up)."""

from labs.course.sheet import Sample, Sheet

_FAIR = (
    "I guessed 13 and 10 of the fourteen were caught.\n"
    "values-too has a loss like a healthy run; it shows where the values before and after the clip are compared."
)
SHEET = Sheet(
    notes={
        "diagnose": "Have the chain said aloud, link by link, before anybody writes",
        "kills_one_factor": "Which heads must be in the test? Let the room find the quiet ones",
        "kills_shared_key": "Ask what the clipped head itself sees of this mistake",
        "kills_negative_maximum": "The clip believes what it is handed: maxima may be invented",
        "kills_max_before_mask": "Data is chosen, not drawn",
        "suite": "Refusing right code is a failure too",
        "caught": "Nobody runs the museum before the guess is locked",
    },
    samples={
        "gap": (
            Sample(1, "I guessed 13 and 10 of the fourteen were caught. So the suite should be better.", "The numbers alone."),
            Sample(2, _FAIR, "Numbers, and a piece with its data. Nothing on why the guess was too high."),
            Sample(
                3,
                f"{_FAIR}\nI forgot that the suite invents the maxima: the four pieces that measure them are never called.",
                "All three points.",
            ),
        )
    },
)
