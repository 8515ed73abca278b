"""What a student costs beside its teacher and beside an API: prices that the user keeps in a file,
and what was measured here, put into a few formulas (docs/economics.md). No price is invented."""
