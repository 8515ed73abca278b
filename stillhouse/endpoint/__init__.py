"""A teacher that a server runs: asking it, what it can tell, and its answers as others read them.

Not here: what it is asked (tasks/) and what becomes of its answers (teacher/). Only masked text
ever comes here.
"""
