"""Lab 5: Write the test that kills it."""
