"""The words of a catalog: found, counted, categorised, with their spellings and misspellings."""
