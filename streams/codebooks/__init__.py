"""Codebooks and vocabularies: fitted to catalogs, measured, compared and described."""
