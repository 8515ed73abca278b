"""Other ways of dealing pairs out than by chance alone: by time, by group, and against texts that
must never be trained on. What they have in common with chance lies in splits.py."""
