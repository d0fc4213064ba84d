"""Who a worker is."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """Which worker this is, and with which codebook it encodes."""

    name: str
    fingerprint: str
    data: Path
