"""What became of students over teacher versions: side by side, from the reports that there are.

It reads figures that reports have kept; no model is run here, and nothing is measured again.
"""
