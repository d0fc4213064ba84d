"""docs/reference, made from the code: python -m kae.streams.reference docs/reference"""
