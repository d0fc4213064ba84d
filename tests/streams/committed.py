"""The contracts as they are committed."""

import json
from pathlib import Path
from typing import Any

import yaml

from kae.streams.events.contracts import file_name

CONTRACTS = Path(__file__).parents[2] / "docs" / "contracts"

Document = dict[str, Any]


def committed(name: str) -> Document:
    text = (CONTRACTS / file_name(name)).read_text(encoding="utf-8")
    document: Document = yaml.safe_load(text) if name == "asyncapi" else json.loads(text)
    return document
