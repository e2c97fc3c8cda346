"""How exact the engine and the losses are, measured.

`python -m benchmarks.accuracy` writes docs/accuracy.md.

Nothing of the library is used to judge the library. `wide` is a small arithmetic of 30 digits that
is fast enough for every row, `formulas` the losses written in it, `truth` the same losses in
mpmath, which has the last word on each row whose error is printed.
"""
