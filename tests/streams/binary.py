"""The same event in the other content mode."""

import msgspec

from kae.streams.events.cloudevents import CONTENT_TYPE, PREFIX, Headers


def as_binary(value: bytes) -> tuple[Headers, bytes]:
    """A structured event's headers and data; every context attribute comes along."""
    attributes = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    data = bytes(attributes.pop("data"))
    texts = {name: msgspec.json.decode(raw, type=str) for name, raw in attributes.items()}
    content_type = texts.pop("datacontenttype").encode()
    headers = [(PREFIX + name, text.encode()) for name, text in texts.items()]
    return [*headers, (CONTENT_TYPE, content_type)], data
