"""Which records of a log count."""

import msgspec
import pytest

from kae.sinks.log.edits import (
    GENESIS,
    LOG_FORMAT,
    Counts,
    Delta,
    DropItem,
    Owned,
    SourceRange,
    encode_edit,
    encode_record,
)
from kae.sinks.log.fold import Folded, LogCorrupt, LogNewer, LogState, fold


def claim(epoch: int, fingerprint: str = "f") -> bytes:
    return encode_record(Owned(epoch, bytes([epoch] * 16), "worker", fingerprint))


def delta(epoch: int, version: int, previous: bytes, part: int = 0, parts: int = 1) -> bytes:
    drop = msgspec.Raw(encode_edit(DropItem(f"item-{part}", -1, 1, bytes(8))))
    return encode_record(
        Delta(epoch, version, previous, part, parts, 0, SourceRange(1, 0), Counts(1, 0, 1), (drop,))
    )


def fold_all(*payloads: bytes) -> list[Folded]:
    state, folded = LogState(), []
    for offset, payload in enumerate(payloads):
        folded.append(fold(state, offset, payload))
        state = folded[-1].state
    return folded


def test_a_delta_of_an_older_epoch_is_ignored_even_if_it_continues_the_chain() -> None:
    *_, zombie, owner = fold_all(claim(1), claim(2), delta(1, 1, GENESIS), delta(2, 1, GENESIS))
    assert (zombie.delta, zombie.ignored) == (None, "delta of another epoch")
    assert owner.delta is not None
    assert (owner.state.version, owner.state.offset, owner.state.next_offset) == (1, 3, 4)


def test_a_claim_needs_a_higher_epoch() -> None:
    same, lower = fold_all(claim(3), claim(3), claim(2))[1:]
    assert {same.ignored, lower.ignored} == {"claim of an old epoch"}
    assert lower.state.epoch == 3


def test_a_claim_with_another_codebook_is_ignored() -> None:
    foreign = fold_all(claim(1), claim(2, "other"))[-1]
    assert foreign.ignored == "claim with another codebook"
    assert (foreign.state.epoch, foreign.state.fingerprint) == (1, "f")


def test_a_delta_off_the_chain_is_ignored() -> None:
    first = fold_all(claim(1), delta(1, 1, GENESIS))[-1].state
    for other in (delta(1, 1, GENESIS), delta(1, 3, first.hash), delta(1, 2, GENESIS)):
        assert fold(first, 2, other).ignored == "delta that does not continue the chain"
    assert fold(first, 2, delta(1, 2, first.hash)).delta is not None


def test_parts_apply_together_with_the_last() -> None:
    *early, last = fold_all(claim(1), *(delta(1, 1, GENESIS, part, 3) for part in range(3)))
    assert all(folded.delta is None for folded in early)
    assert last.delta is not None
    assert len(last.delta.edits) == 3


def test_parts_are_dropped_when_the_epoch_changes_between() -> None:
    half, whole = delta(1, 1, GENESIS, 0, 2), delta(1, 1, GENESIS, 1, 2)
    *_, late = fold_all(claim(1), half, claim(2), whole)
    assert (late.delta, late.state.version) == (None, 0)


def test_bytes_that_kae_did_not_write_are_named_by_their_offset() -> None:
    with pytest.raises(LogCorrupt, match=r"offset 7: .* a topic of its own"):
        fold(LogState(), 7, b"hello")


def test_a_claim_names_the_oldest_release_that_reads_its_records() -> None:
    (newer,) = fold_all(claim(1))
    coming = encode_record(Owned(2, bytes(16), "worker-9", "f", LOG_FORMAT + 1))
    with pytest.raises(LogNewer, match=r"offset 1: worker-9 writes format 2 .* Upgrade"):
        fold(newer.state, 1, coming)
    late = encode_record(Owned(1, bytes(16), "worker-9", "f", LOG_FORMAT + 1))
    assert fold(newer.state, 1, late).ignored == "claim of an old epoch"


def test_a_claim_without_a_format_is_of_the_first_one() -> None:
    tag, *fields, log_format = msgspec.msgpack.decode(claim(1))
    assert log_format == LOG_FORMAT
    before = fold(LogState(), 0, msgspec.msgpack.encode([tag, *fields]))
    assert before == fold(LogState(), 0, claim(1))
