"""Exact and near-duplicates: MinHash, bands, exact Jaccard, clusters and families.

Knows texts and ids; nothing of sources or labels.
"""
