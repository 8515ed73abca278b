"""Files, tables and records of how they came to be: whole or not at all, one writer at a time.

Not here: what is in them.
"""
