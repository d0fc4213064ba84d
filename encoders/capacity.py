"""How many slots each position gets: more where the items' words tell more.

A position with H bits of information has as much to tell as 2^H words that are equally frequent.
Units of slots go one after the other to the position that has the most of those for each slot, so
shares are proportional (D'Hondt). None gets less than one unit, which leaves room for a catalog
that grows, nor more than its words or the largest dense position could fill.
"""

from collections.abc import Sequence

UNIT = 256
LARGEST = 4096


def core_slots(
    information: Sequence[float], spellings: Sequence[int], total: int
) -> tuple[int, ...]:
    """The slots of each position beside the reserved ones; index 0 is one of them.

    `information`: bits of each position; `spellings`: how many words it could tell apart; `total`:
    slots to share out, what no position can use is left over.
    """
    units = [1] * len(information)
    # One slot is the empty one.
    most = [min(LARGEST // UNIT, words // UNIT + 1) for words in spellings]
    for _ in range(total // UNIT - len(units)):
        open_to_more = [p for p in range(len(units)) if units[p] < most[p]]
        if not open_to_more:
            break
        units[min(open_to_more, key=lambda p: (-(2 ** information[p]) / units[p], p))] += 1
    return tuple(UNIT * count for count in units)
