"""Personal data: finding it, putting pseudonyms in its place, keeping the originals in a vault."""
