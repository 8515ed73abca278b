"""Dagster assets and their checks, one module a stage.

An asset wires its step's row in `stillhouse/steps.py` to the plain function that makes it, which
knows no Dagster. It has the same shape everywhere: `asset_of` derives what Dagster has to know,
`materialize` reuses what lies there or makes it, and `metadata` says what the UI shows.
"""
