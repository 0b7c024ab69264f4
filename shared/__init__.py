"""What both planes must agree on, and nothing else: wire types, formats, wording and one clock."""
