"""Fixtures for every test."""

pytest_plugins = ["tests.house.bare_imports", "tests.needs", "tests.real_parts", "tests.warm"]
