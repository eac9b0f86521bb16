"""Figures and printed source for the book and for notebooks. Nothing in the package imports this."""

from .source import show, show_file
from .stage import stage

__all__ = ["show", "show_file", "stage"]
