"""The instructor's side: `python -m labs.course --help`. Nothing in here reaches a student."""
