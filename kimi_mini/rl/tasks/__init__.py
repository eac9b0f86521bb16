"""Tasks whose answers a program can mark."""

from .registry import tasks

__all__ = ["tasks"]
