"""Judged queries to steer search by, made from the demo catalog's structured fields: make.py."""
