import base64
import logging
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from stillhouse.tasks import classification_plots as plots
from stillhouse.tasks.figures import LABEL_LENGTH, png_uri, short, svg_uri


def svg(figure) -> ET.Element:
    return ET.fromstring(base64.b64decode(svg_uri(figure).partition("base64,")[2]))


def texts(figure) -> list[str]:
    return ["".join(e.itertext()) for e in svg(figure).iter("{http://www.w3.org/2000/svg}text")]


def test_confusion_matrix_shows_counts_and_rows_by_share():
    counts = np.array([[30, 10], [0, 2]])
    figure = plots.confusion_matrix(counts, ["big", "small"])
    assert {"30", "10", "2", "big", "small"} <= set(texts(figure))
    assert "0" not in texts(figure)
    shades = figure.axes[0].images[0].get_array() ** 2
    assert shades.ravel().tolist() == pytest.approx([0.75, 0.25, 0, 1])


def test_confusion_matrix_of_many_classes_has_no_numbers_and_keeps_empty_rows_empty():
    labels = [f"class_{i:02}" for i in range(77)]
    counts = np.diag(np.r_[np.zeros(1, int), np.full(76, 40)])
    figure = plots.confusion_matrix(counts, labels)
    (axes,) = figure.axes
    assert not axes.texts
    assert [tick.get_text() for tick in axes.get_xticklabels()] == labels
    assert [tick.get_text() for tick in axes.get_yticklabels()] == labels
    assert axes.images[0].get_array()[0].sum() == 0


HOSTILE = ["$x^{$", "</text><script>alert(1)</script>", "ประเทศไทย", "退款", "a\nb\x07", "x" * 90]


def test_labels_stay_labels(caplog):
    """No formula, no markup, no warning about fonts; every script as text of the SVG."""
    counts = np.eye(len(HOSTILE), dtype=int)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        figure = plots.confusion_matrix(counts, HOSTILE)
        shown = texts(figure)
        png_uri(figure)
    assert not caplog.records
    assert {"$x^{$", "退款", "ประเทศไทย", "a b"} <= set(shown)
    assert not list(svg(figure).iter("{http://www.w3.org/2000/svg}script"))
    assert max(map(len, shown)) <= LABEL_LENGTH


def test_long_labels_keep_both_ends():
    cut = short("balance_not_updated_after_cheque_or_cash_deposit")
    assert len(cut) == LABEL_LENGTH
    assert cut.startswith("balance_not")
    assert cut.endswith("cash_deposit")
