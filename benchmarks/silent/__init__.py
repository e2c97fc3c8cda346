"""Bad and hard inputs through this library and others: which answers are wrong without a word.

`inputs` declares each input and its truth, `libraries` and `boosters` what each library is asked,
`cells` runs each library in processes of its own and judges what came, `page` writes
the tables. `python -m benchmarks.silent --write` does it all.
"""
