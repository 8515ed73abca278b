"""One training loop, for teachers that adapt and students that distil: loop, state, losses."""
