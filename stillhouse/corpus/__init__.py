"""From source files to unique, masked documents: one module an asset, the machinery beneath.

`sources`, `parsed`, `cleansed`, `masked` and `unique` each make one table. Not here: what is
learned from it.
"""
