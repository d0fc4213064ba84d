"""Codebooks fitted to catalogs, measured, compared and shown."""
