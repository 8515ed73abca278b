"""From scored answers to what people read: gates, findings, the page, Markdown.

It renders what kinds of task hand it (`tasks.sections`) and knows none of them; no model is loaded
here, and nothing is read but what the caller gives or `evaluation.json` holds.
"""
