"""Lab 6, say it ten ways."""
