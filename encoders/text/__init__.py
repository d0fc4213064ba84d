"""Texts: the normal form, spellings, measures, and the words of a value."""
