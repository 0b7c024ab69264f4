"""The agreements between both planes, and nothing else: wire types, formats, wording and one clock."""
