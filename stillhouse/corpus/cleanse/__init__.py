"""What is no part of what a text says: found line by line, taken out, and kept to be put back."""
