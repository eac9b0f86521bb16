"""Measuring models: what a table of scores says, and how sure.

Reading order: statistics (means, standard errors, differences), reported (the published tables about K2).
"""
