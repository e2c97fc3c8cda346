"""Two commits of this repository beside each other: `python -m benchmarks.against --help`.

The parent process exports the old commit and starts one worker for each tree. What a worker imports
stands in this directory, is the same for both, and uses only what is public and stays: `fastloss`,
and the kernels of `fastloss_kernels` by name.
"""
