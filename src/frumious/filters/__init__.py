"""Policy as values: rules that judge, with reasons. `rules` is the port, `names` the built-in rules on project names,
`build` makes rules from plain mappings.
"""
