"""Rows for a GPU: kernels and whole steps beside their peers. `rows` lists them, the other modules build them."""
