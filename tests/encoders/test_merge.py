"""Groups follow from how often items have words of categories: exact values, worked out by hand."""

from collections.abc import Sequence
from math import log2

import pytest
from tests.encoders.sample import FIELDS, GROUPS, catalog, category
from tests.icecat import FIELDS as MAPPED
from tests.icecat import GROUPS as DECLARED
from tests.icecat import catalog_items

from kae.encoders.catalog_reader import CatalogReader
from kae.encoders.categories import CATEGORIES
from kae.encoders.groups.fit import FittedGroups, core_slots, fit_groups
from kae.encoders.groups.information import CategoryCooccurrence, entropy
from kae.encoders.groups.merge import Merge, MergeTree, MergeWeights, merge_categories, merge_cost
from kae.encoders.items import Item

NOTHING_ELSE = MergeWeights(entropy=0, activation=0, family=0, size=0)


def cooccurrence(items: int, having: dict[str, Sequence[int]]) -> CategoryCooccurrence:
    """Of so many items, which have words of which categories."""
    rows = [frozenset(having.get(name, ())) for name in CATEGORIES]
    return CategoryCooccurrence(items, tuple(tuple(len(x & y) for y in rows) for x in rows))


# Of 8 items: half are an entity, a quarter have a brand, and only entities have one; color goes
# its own way; what has a style has a scene.
EIGHT = cooccurrence(
    8,
    {
        "entity": (0, 1, 2, 3),
        "brand": (0, 1),
        "color": (0, 2, 4, 6),
        "style": (2, 5),
        "scene": (2, 5),
    },
)
ENTITY, BRAND, COLOR = category("entity"), category("brand"), category("color")
STYLE, SCENE = category("style"), category("scene")


def test_the_entropy_of_a_presence() -> None:
    assert EIGHT.entropy(ENTITY) == 1.0
    assert EIGHT.entropy(BRAND) == pytest.approx(2 - 0.75 * log2(3), abs=1e-12)
    assert EIGHT.entropy(category("price")) == 0.0
    assert entropy([0.25] * 4) == 2.0
    assert entropy([]) == entropy([1.0]) == 0.0


def test_what_one_category_leaves_open_about_another() -> None:
    # Without a brand, 2 of 6 items are entities; a brand says that it is one.
    thirds = log2(3) - 2 / 3
    assert EIGHT.conditional_entropy(ENTITY, BRAND) == pytest.approx(0.75 * thirds, abs=1e-12)
    # An entity has a brand as often as not; nothing else has one.
    assert EIGHT.conditional_entropy(BRAND, ENTITY) == pytest.approx(0.5, abs=1e-12)
    assert EIGHT.conditional_entropy(COLOR, ENTITY) == 1.0


def test_the_information_loss_of_a_pair() -> None:
    assert EIGHT.loss(STYLE, SCENE) == 0.0
    assert EIGHT.loss(ENTITY, COLOR) == 1.0
    by_hand = (0.75 * (log2(3) - 2 / 3) + 0.5) / 2
    assert EIGHT.loss(ENTITY, BRAND) == EIGHT.loss(BRAND, ENTITY)
    assert EIGHT.loss(ENTITY, BRAND) == pytest.approx(by_hand, abs=1e-12)
    assert by_hand == pytest.approx(0.594361, abs=1e-6)


def test_the_loss_between_groups_is_the_mean_over_pairs() -> None:
    pairs = (EIGHT.loss(ENTITY, COLOR), EIGHT.loss(BRAND, COLOR))
    assert EIGHT.mean_loss((ENTITY, BRAND), (COLOR,)) == pytest.approx(sum(pairs) / 2, abs=1e-12)


def test_each_regulariser_adds_its_part_to_the_cost() -> None:
    left, right = (ENTITY, BRAND), (COLOR,)

    def more_than_loss(weights: MergeWeights) -> float:
        bare = merge_cost(EIGHT, left, right, NOTHING_ELSE)
        assert bare == EIGHT.mean_loss(left, right)
        return merge_cost(EIGHT, left, right, weights) - bare

    mean_entropy = (EIGHT.entropy(ENTITY) + EIGHT.entropy(BRAND)) / 2
    assert more_than_loss(MergeWeights(2, 0, 0, 0)) == pytest.approx(2 * (1 - mean_entropy))
    assert more_than_loss(MergeWeights(0, 2, 0, 0)) == pytest.approx(2 * (4 / 8 - 3 / 8))
    assert more_than_loss(MergeWeights(0, 0, 0.5, 0)) == pytest.approx(0.5)
    assert more_than_loss(MergeWeights(0, 0, 0, 1)) == 0
    six, one = tuple(range(6)), (6,)
    heavy = merge_cost(EIGHT, six, one, MergeWeights(0, 0, 0, 3))
    assert heavy == pytest.approx(EIGHT.mean_loss(six, one) + 3)
    same_family = MergeWeights(0, 0, 1, 0)
    assert merge_cost(EIGHT, (STYLE,), (COLOR,), same_family) == EIGHT.loss(STYLE, COLOR)


def test_what_loses_least_merges_first() -> None:
    tree = merge_categories(EIGHT, [SCENE, STYLE, COLOR, BRAND, ENTITY], NOTHING_ELSE)
    assert [(step.left, step.right) for step in tree.merges[:2]] == [
        ((STYLE,), (SCENE,)),
        ((ENTITY,), (BRAND,)),
    ]
    assert [step.groups_left for step in tree.merges] == [4, 3, 2, 1]
    assert tree.cut(3) == ((ENTITY, BRAND), (STYLE, SCENE), (COLOR,))
    assert tree.cut(9) == ((ENTITY,), (BRAND,), (STYLE,), (COLOR,), (SCENE,))


def test_the_order_in_which_categories_are_given_does_not_matter() -> None:
    given = [ENTITY, BRAND, COLOR, STYLE, SCENE]
    assert merge_categories(EIGHT, given, MergeWeights()) == merge_categories(
        EIGHT, given[::-1], MergeWeights()
    )


def test_the_knee_is_where_the_cumulative_loss_bends_most() -> None:
    losses = [0.1, 0.1, 0.2, 0.9, 1.0]
    steps = [
        Merge((0,), (1,), loss, 9.0, left)
        for loss, left in zip(losses, range(5, 0, -1), strict=True)
    ]
    tree = MergeTree(tuple(range(6)), tuple(steps))
    assert tree.cumulative() == pytest.approx((0.1, 0.2, 0.4, 1.3, 2.3))
    # Second differences, from 5 groups on: 0.0, 0.1, 0.7, 0.1.
    assert tree.knee() == 3
    assert MergeTree((0, 1), tuple(steps[-1:])).knee() is None


def test_slots_go_where_the_information_is_within_bounds() -> None:
    # 8 bits tell four times as much as 6: of ten units, one each to begin with.
    assert core_slots((8, 6), (9999, 9999), 2560) == (2048, 512)
    assert core_slots((8, 6), (1000, 9999), 2560) == (1024, 1536)
    assert core_slots((14, 6), (99999, 99999), 9999) == (4096, 4096)
    assert core_slots((0, 0), (1, 1), 2560) == (256, 256)


# Of a catalog.


def fitted(items: list[Item]) -> FittedGroups:
    return fit_groups(CatalogReader(lambda: items), DECLARED, MAPPED, MergeWeights())


@pytest.fixture(scope="module")
def slice_of_icecat() -> list[Item]:
    return catalog_items(3000)


def test_fitting_twice_gives_the_same_groups(slice_of_icecat: list[Item]) -> None:
    one, other = fitted(slice_of_icecat[:500]), fitted(slice_of_icecat[:500])
    assert (one.groups, one.tree, one.representatives) == (
        other.groups,
        other.tree,
        other.representatives,
    )


def test_a_category_that_no_item_has_goes_where_it_is_declared(
    slice_of_icecat: list[Item],
) -> None:
    fit = fitted(slice_of_icecat)
    (price,) = (group for group in fit.groups if "price" in group.categories)
    assert category("price") not in fit.tree.categories
    assert {"material", "specification"} & set(price.categories)


def test_few_items_keep_the_declared_groups() -> None:
    fit = fit_groups(CatalogReader(catalog), GROUPS, FIELDS, MergeWeights())
    assert fit.groups == GROUPS
    assert fit.declared_because == ("9 items are too few to measure shares of; give at least 100")


def test_few_categories_keep_the_declared_groups() -> None:
    items = [Item(str(n), f"thing {'ab'[n % 2]}") for n in range(200)]
    fit = fit_groups(CatalogReader(lambda: items), GROUPS, {}, MergeWeights())
    assert fit.groups == GROUPS
    assert fit.declared_because.startswith("items have words of 1 categories, and 6 groups need")
