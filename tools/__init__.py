"""Small generators of documents. Nothing here ships, and no shipped module imports the generators."""
