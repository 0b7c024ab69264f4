"""Small generators of documents. Nothing here ships, and nothing that ships imports it."""
