"""Lab 2: route and balance."""
