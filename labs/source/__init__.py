"""One folder per lab: its notebook, with solutions, and its exercises with their twists and known mistakes."""
