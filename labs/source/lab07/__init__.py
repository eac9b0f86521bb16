"""Lab 7, kernels."""
