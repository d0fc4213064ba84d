"""The trie of live identifiers, and what a decode asks of it."""
