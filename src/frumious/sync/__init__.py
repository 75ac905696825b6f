"""The use cases. `plan` decides, `fetch` and `publish` act, `engine` orders them (docs/design.md §5 and §6).

Nothing here knows a URL scheme, a directory or SQL; time and chance are arguments.
"""
