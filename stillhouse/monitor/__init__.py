"""What becomes of students in production: their traffic, and whether it has drifted.

Here are the readers of request logs, the table of masked requests, the comparison with what a
student learned from, and its verdict. What belongs elsewhere: how a model answers (evaluate/),
how texts are masked (corpus/pii/), when any of it runs (sensors/, assets/).
"""
