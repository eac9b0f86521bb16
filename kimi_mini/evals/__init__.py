"""Measuring models: what a table of scores says, and how sure; the book's own small benchmarks, for any model.

Reading order: statistics (means, standard errors, differences), reported (the published tables about K2); estimate (Avg@k,
pass@k, their intervals), subjects (a model here or behind an endpoint), measure (held-out problems, samples, the log).
"""
