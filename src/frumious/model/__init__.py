"""Values only, no I/O: names, projects, files, and where things lie.

The values that exist per file are `msgspec.Struct`s, not dataclasses: making one costs a seventeenth, and
a full mirror makes 18 million of them (docs/decisions/0001).
"""
