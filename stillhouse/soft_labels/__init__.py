"""What is kept of a teacher's distribution: its encodings, one module each, the store of their
records, and targets for the loss."""
