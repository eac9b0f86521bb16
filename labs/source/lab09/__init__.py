"""Lab 9, build a tool, judge a run."""
