"""A catalog's words: found, counted, typed and told apart from misspellings."""
