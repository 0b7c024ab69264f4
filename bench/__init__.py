"""Measures the gateway beside nginx and FastAPI + httpx: `python -m bench --help`."""
