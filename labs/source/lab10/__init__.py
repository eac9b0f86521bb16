"""Lab 10, objective and verifier."""
