"""Lab 4: Muon and the clip."""
