"""Kinds of task: one module a kind, behind one small interface, and what they share.

What a pair is, how a model answers it, how answers are scored and what a report shows of them is
said here and nowhere else: no room above knows what a class is.
"""
