"""Dagster assets and their checks, one module a stage.

An asset wires settings, storage and metadata to plain functions of the library, which know no
Dagster. It has the same shape everywhere: ask `recipes` what it is made of, reuse what lies there
or make it, report digest and figures.
"""
