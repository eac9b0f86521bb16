"""Lab 13, audit."""
