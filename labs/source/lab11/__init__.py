"""Lab 11, catch the hacker."""
