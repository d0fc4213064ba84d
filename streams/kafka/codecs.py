"""The codecs that records may be compressed with: producers and topics choose, a reader needs all.

A client without a codec stops at the first record that is compressed with it, on every start.
"""

from kafka import codec

from kae.streams.errors import NotInstalled

# Each codec, and what kafka-python decompresses it with; gzip is Python's own.
KAFKA_PYTHON = {"snappy": "python-snappy", "lz4": "lz4", "zstd": "zstandard"}
# What aiokafka, which Faust reads with, decompresses all three with.
AIOKAFKA = "cramjam"


def check_codecs(*, faust: bool = False) -> None:
    """Check that every codec can be read; with `faust` also by the consumer of a worker.

    Raises: NotInstalled.
    """
    lacking = {
        name: package
        for name, package in KAFKA_PYTHON.items()
        if not getattr(codec, f"has_{name}")()
    }
    lacks_all = False
    if faust:
        from aiokafka import codec as faust_codec

        lacks_all = not faust_codec.has_lz4()
    if lacking or lacks_all:
        packages = sorted({*lacking.values(), *([AIOKAFKA] if lacks_all else [])})
        codecs = KAFKA_PYTHON if lacks_all else lacking
        raise NotInstalled(
            f"{', '.join(packages)}: not installed, so events compressed with "
            f"{', '.join(codecs)} cannot be read; "
            f"install what kae needs: pip install {' '.join(packages)}"
        )
