"""The cost of a large fleet, by the real codecs and table: `python -m bench.scale` writes docs/scale.md."""
