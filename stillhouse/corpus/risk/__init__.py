"""What still says whom a masked text is about, and the words that it is told by."""
