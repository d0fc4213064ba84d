"""Naming what a receipt, a proposal or a history is about."""

from kae.encoders.text import normalise
from kae.sinks.term_changes import CAMPAIGN_PREFIX, campaign_key


def key_of(subject: str) -> str:
    """The key of a word, or of a campaign that is given as campaign/NAME; empty for none."""
    if not subject.startswith(CAMPAIGN_PREFIX):
        return normalise(subject)
    name = normalise(subject.removeprefix(CAMPAIGN_PREFIX))
    return campaign_key(name) if name else ""
