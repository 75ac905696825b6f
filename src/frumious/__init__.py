"""Frumious: a mirror of PyPI, or of the part of it you choose."""

__version__ = "0.1.0"
