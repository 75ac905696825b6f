"""Fuzzing of everything that reads: what must hold for any input, and a program that looks for inputs for which it does not.

`tests/fuzz/` asks the same of inputs that hypothesis makes, as part of the tests. `python -m fuzz` looks on for as long
as it is given, led by which lines were reached (atheris).
"""
