"""What still says whom a masked text is about: quasi-identifiers, and the words they are told by."""
