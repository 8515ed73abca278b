"""One file to text or records: a module a family of formats, each checked before it is read."""
