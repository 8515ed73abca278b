"""Choosing a teacher and a student: what they take of memory, disk and time, what candidates know.

What is known before anything is made; figures of what was made are the report's and history's.
"""
