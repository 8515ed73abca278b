"""The project file: reading it, one module of sections a stage, and errors that name the line.

Not here: what a setting does. Sections hold values and their limits.
"""
