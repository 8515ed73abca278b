"""What people are shown of a dataset, the page they read it on, and what they filled in.

How pairs are made and dealt out is none of its business.
"""
