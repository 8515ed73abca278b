"""Dagster resources: what assets are given rather than reach for."""
