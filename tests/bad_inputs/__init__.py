"""Files that no decoder should let pass, and good ones, made from a seed.

No binaries lie in the repository. `faults.FAULTS` is the table: one class of fault per row, with
what must be said about it. `good.pairs` makes good ones.
"""
