"""Closed codebooks encode vectors that they were not fitted to."""

import numpy as np

from kae.encoders.fitting.closed_codebooks import ResidualQuantizer

# Four points around each of two far centers, and what is left of them is the same for both.
OFFSETS = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)
POINTS = np.concatenate([OFFSETS + 100, OFFSETS - 100])


def test_levels_quantise_what_the_level_before_has_left() -> None:
    quantizer = ResidualQuantizer.fit(POINTS, [2, 4], seed=1)
    codes = quantizer.codes(POINTS)
    assert len(np.unique(codes, axis=0)) == 8
    # The second code says which offset, whatever the first says.
    assert codes[:4, 1].tolist() == codes[4:, 1].tolist()
    # Mini-batches leave centers near the mean, not at it.
    assert np.allclose(quantizer.rebuild(codes), POINTS, atol=0.3)


def test_a_new_vector_has_the_codes_of_its_nearest_centers() -> None:
    quantizer = ResidualQuantizer.fit(POINTS, [2, 4], seed=1)
    new = np.array([[101.2, 0.1 + 100], [-100, -101.1]], np.float32)
    near = np.array([[101, 100], [-100, -101]], np.float32)
    assert quantizer.codes(new).tolist() == quantizer.codes(near).tolist()


def test_a_product_quantiser_finds_the_turn_in_which_its_parts_are_apart() -> None:
    # A grid of 4 x 4 points, turned by 30 degrees: only along its own axes are four centers each
    # enough. A level with one center before it takes the mean away.
    grid = np.array([[x, y] for x in (0, 1, 5, 9) for y in (0, 2, 3, 7)], np.float32)
    angle = np.pi / 6
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = (grid @ turn).astype(np.float32)
    levels = ResidualQuantizer.fit(turned, [1, 4, 4], seed=1)
    quantizer = levels.with_product(turned, [1, 4, 4], seed=1)
    assert quantizer.rotation is not None
    assert np.allclose(quantizer.rotation @ quantizer.rotation.T, np.eye(2), atol=1e-5)
    codes = quantizer.codes(turned)
    assert codes.shape == (16, 3)
    assert len(np.unique(codes, axis=0)) > 8
    lost = float(((quantizer.rebuild(codes) - turned) ** 2).sum())
    plain = ResidualQuantizer(levels.levels[:1])
    residual = turned - plain.rebuild(plain.codes(turned))
    # Better than no codes at all by far, whatever turn was found.
    assert lost < 0.1 * float((residual**2).sum())
