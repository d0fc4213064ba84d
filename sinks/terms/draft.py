"""The bindings as a batch leaves them while it is planned: a fold that runs ahead of the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from kae.encoders.categories import Slot
from kae.sinks.log.edits import BindingEdit, BindSlot, Deactivate
from kae.sinks.terms.bindings import Bindings
from kae.sinks.terms.slot_ledger import ledger_of, no_slot_cause, soonest_to_end


@dataclass(frozen=True, slots=True)
class TermPolicy:
    """What topology.yaml demands of a change before it is carried out."""

    approvals: int = 0  # how many others must approve it: none or one
    tolerance_percent: float = 0.0  # by how much the items may differ from those of the plan
    quarantine_ms: int = 0  # of a released slot; only the text of a refusal uses it
    items_per_selector: int = 10_000  # ids that the selector of one term may name
    selector_bytes: int = 1 << 20  # of the selector of one term, as it is stored


NO_APPROVALS = TermPolicy()


class ChangeRefused(Exception):
    """A change that cannot be carried out; the message is the cause."""


class BindingsDraft:
    """A copy of the bindings, with the edits applied that are planned but not in the log yet."""

    def __init__(
        self, bindings: Bindings, reserved: Mapping[int, range], policy: TermPolicy
    ) -> None:
        """`reserved` has the reserved indices of each position."""
        self.bindings = bindings.copy()
        self.policy = policy
        self._reserved = reserved
        self._occupied = bindings.occupied()

    def apply(self, edits: Sequence[BindingEdit]) -> None:
        """Fold planned edits."""
        for edit in edits:
            self.bindings.edit(edit, self.bindings.version + 1, 0)
            if isinstance(edit, BindSlot):
                self._occupied.add(Slot(edit.position, edit.index))
            elif isinstance(edit, Deactivate):
                quarantined = self.bindings.quarantined.get(edit.binding)
                if quarantined is not None and not quarantined.was_active:
                    self._occupied.discard(quarantined.slot)

    def bound(self, term: str) -> BindSlot:
        """The binding of a term.

        Raises: ChangeRefused if it has none.
        """
        bound = self.bindings.holder_of(term)
        if bound is None:
            raise ChangeRefused(f"{term!r}: is not bound; kae term bind binds it")
        return bound

    def free_index(self, position: int, term: str) -> int:
        """The lowest free reserved index of a position.

        Raises: ChangeRefused.
        """
        return self.free_indices(position, [term])[0]

    def free_indices(self, position: int, terms: Sequence[str]) -> list[int]:
        """A free reserved index for each term, the lowest first.

        Raises: ChangeRefused.
        """
        reserved = self._reserved[position]
        free = (index for index in reserved if Slot(position, index) not in self._occupied)
        found = list(islice(free, len(terms)))
        if len(found) < len(terms):
            quarantine_ms = self.policy.quarantine_ms
            ledger = ledger_of(self.bindings, position, len(reserved), quarantine_ms)
            candidates = soonest_to_end(self.bindings, position)
            raise ChangeRefused(no_slot_cause(terms, position, ledger, candidates))
        return found
