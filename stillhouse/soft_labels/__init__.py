"""What is kept of a teacher's distribution: its codec, its store, and targets for the loss."""
