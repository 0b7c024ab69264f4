"""Peers that the bench has to bring along itself."""
