"""Refuses bare names of the rooms in tests, where the repository's root is on the path."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

ROOMS = frozenset({"deploy", "encoders", "sinks", "streams"})


class BareImport(ImportError):
    """A room was imported without kae in front."""


class RefuseBareImports:
    """A finder that comes first and finds nothing."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse the rooms' bare names; leave every other name to the next finder."""
        if name.partition(".")[0] in ROOMS:
            raise BareImport(f"import {name}: import kae.{name} instead", name=name)
        return None


sys.meta_path.insert(0, RefuseBareImports())
