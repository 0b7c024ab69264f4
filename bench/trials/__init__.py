"""Measurements beyond the load program: a file per trial, all listed in `listing`."""
