"""Lab 1: attention that remembers."""
