"""Figures, by the colours in them."""

import numpy as np

from qd_fool.report.figure import column_figure, grid_figure


def flat(colour, side=4):
    return np.full((side, side, 3), colour, np.uint8)


def middles(figure, colours):
    """`(x, y)` of the middle of each colour."""
    pixels = np.asarray(figure)
    return [np.argwhere((pixels == c).all(axis=2))[:, ::-1].mean(axis=0) for c in colours]


RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


def test_columns_are_classes_and_rows_are_runs():
    figure = column_figure(["zero", "one"], [[flat(RED), flat(GREEN)], [None, flat(BLUE)]], cell=40)
    red, green, blue = middles(figure, (RED, GREEN, BLUE))
    assert red[1] == green[1] < blue[1]
    assert red[0] < green[0] == blue[0]
    head = np.asarray(figure)[: int(red[1]) - 20]
    black = np.argwhere((head < 80).all(axis=2))[:, 1]
    # A label in the middle above each.
    assert abs(black[black < figure.width / 2].mean() - red[0]) < 4
    assert abs(black[black > figure.width / 2].mean() - green[0]) < 4


def test_a_grid_is_read_line_after_line_with_labels_below():
    figure = grid_figure(["a", "b", "c"], [flat(RED), flat(GREEN), flat(BLUE)], columns=2, cell=40)
    red, green, blue = middles(figure, (RED, GREEN, BLUE))
    assert red[1] == green[1] < blue[1]
    assert red[0] == blue[0] < green[0]
    between = np.asarray(figure)[int(red[1]) + 21 : int(blue[1]) - 21]
    assert (between < 80).all(axis=2).any()


def test_large_pictures_are_reduced_and_long_labels_cut():
    large = flat(RED, side=300)
    figure = np.asarray(grid_figure(["a label that is far too long"], [large], columns=8, cell=50))
    assert (figure == RED).all(axis=2).sum() == 50 * 50
    assert figure.shape[1] < 70


def test_gray_pictures():
    figure = np.asarray(column_figure(["0"], [[flat(RED)[..., 1:2] + np.uint8(77)]], cell=40))
    assert (figure == 77).all(axis=2).sum() >= 40 * 40
