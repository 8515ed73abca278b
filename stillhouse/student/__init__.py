"""The student's part: cutting it from a teacher, its vocabulary, its distillation.

Reads a teacher's folder and soft labels; knows nothing of how they were made.
"""
