"""A stand-in for OpenAI and Anthropic without accounts: shaped like both, on loopback."""
