"""How confidential documents say they are: what to look at, and what it means.

Knows no file format's reader and no table; `corpus/document_confidentiality.py` puts it to use.
"""
