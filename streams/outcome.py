"""What work on shards came to, for whoever has to follow it up."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """Where to seek back to, and which shards are no longer this worker's, by shard."""

    seek: dict[int, int] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)

    def and_then(self, other: "Outcome") -> "Outcome":
        return Outcome(self.seek | other.seek, self.lost | other.lost)
