"""What `kae demo run` found out: the object that `--json` prints last."""

import msgspec


class TermFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A word that nobody knew, bound while everything ran, and released again."""

    unreachable_before: bool  # searching it gave no items
    attached_items: int
    time_to_effect_ms: int  # from the event's time to the first search that found an item by it
    reachable: bool
    unreachable_after_release: bool


class DemoFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers are of this run; `claims` says which of them must hold."""

    items_published: int
    items_indexed: int
    dead_letters: int
    events_per_second: float  # from the first event sent to the last one applied by the replica
    term: TermFacts
    killed_worker_recovered: bool  # every event accounted for, every hash equal, after SIGKILL
    replica_equals_log: bool  # found by another process that folds the log from offset 0

    def broken_claims(self) -> list[str]:
        """What a demo that worked would not have: empty if all is well."""
        claims = {
            "every published item is indexed": self.items_indexed == self.items_published,
            "no event is a dead letter": self.dead_letters == 0,
            "the word was unknown before": self.term.unreachable_before,
            "the word leads to items": self.term.reachable and self.term.attached_items > 0,
            "the released word leads nowhere": self.term.unreachable_after_release,
            "a killed worker loses nothing": self.killed_worker_recovered,
            "the replica equals the log": self.replica_equals_log,
        }
        return [claim for claim, holds in claims.items() if not holds]
