"""Texts: the normal form, spellings, measures, bundled words, and the words of a value."""
