"""What a large fleet costs, by the real codecs and table: `python -m bench.scale` writes docs/scale.md."""
