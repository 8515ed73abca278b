"""The teacher's part: its adaptation to the tasks, its frozen layers, its soft labels.

Knows nothing of students.
"""
