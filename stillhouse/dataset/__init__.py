"""From documents to instruction pairs, their splits, and a sample for people to read.

What a pair is, a kind of task says (`tasks/`).
"""
