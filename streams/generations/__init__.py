"""Generations: announced, verified, cut over to and dropped while others serve."""
