"""Lab 0: count a trillion."""
