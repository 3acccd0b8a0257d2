"""The arena: all methods that fit some data, each searched and run alike, and a verdict that the answers bear out."""
