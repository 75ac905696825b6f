"""Bytes to model and back, pure: the Simple API as JSON and HTML, and PyPI's legacy JSON.

`formats` tells one form from another; `simple_json`, `simple_html` and `legacy_json` each know one. Readers raise
BadPage (or its UnsupportedVersion) and nothing else; renderers give the same bytes for the same value.
"""

from frumious.pages.parsed import ParsedList

__all__ = ["ParsedList"]
