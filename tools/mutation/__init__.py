"""What the tests would not notice: `python -m tools.mutation` writes docs/mutation.md.

Each mutant is the code with one small change: another operator, a number more by one, a condition
the wrong way round. Tests that fail kill it. One that survives is a hole in the tests, or the
change makes no difference: explanations.toml says which, for every survivor.

The kernels run as plain Python, so that a mutant costs a fork and a few tests, and no compilation.
"""
