"""`make bench`: how fast the rotation is, beside what people write by hand and beside what the server allows."""
