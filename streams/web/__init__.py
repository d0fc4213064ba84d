"""The console: the state of the line, terms, items, dead letters and the audit, for a browser."""
