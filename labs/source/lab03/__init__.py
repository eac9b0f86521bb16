"""Lab 3, two bets on a budget."""
