"""A page that records or takes a file, and tells which song it is or who sings; also an HTTP API."""
