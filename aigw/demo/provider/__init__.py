"""A stand-in for OpenAI and Anthropic that needs no account: shaped like both, on loopback."""
