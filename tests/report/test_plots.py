import base64
import io
import xml.etree.ElementTree as ET

from PIL import Image

from stillhouse.report import plots
from stillhouse.report.pictures import learning_curve_markdown
from stillhouse.tasks.figures import svg_uri

HISTORY = [
    {
        "epoch": 1,
        "loss": 1.9,
        "kl": 2.0,
        "ce": 1.7,
        "validation_nll": 1.8,
        "validation_score": 0.6,
        "validation_field_f1": 0.61,
        "seconds": 24.0,
    },
    {"epoch": 2, "loss": 1.2, "kl": 1.1, "ce": 1.3, "validation_field_f1": 0.74, "seconds": 23.0},
    {"epoch": 3, "loss": 1.0, "kl": 0.9, "ce": 1.2, "validation_field_f1": None, "seconds": 23.0},
]


def test_learning_curve_draws_what_was_recorded_whatever_the_scores_are_called():
    losses, validation = plots.learning_curve(HISTORY).axes
    assert {line.get_label(): line.get_ydata().tolist() for line in losses.lines} == {
        "total loss": [1.9, 1.2, 1.0],
        "KL to the teacher": [2.0, 1.1, 0.9],
        "cross-entropy on gold": [1.7, 1.3, 1.2],
        "NLL on validation data": [1.8],
    }
    (score,) = validation.lines
    assert score.get_label() == "field f1"
    assert score.get_xdata().tolist() == [1, 2]


def test_learning_curve_does_not_blow_up_a_tiny_change():
    history = [{"epoch": e, "validation_accuracy": 0.9 + e / 1000} for e in (1, 2, 3)]
    (axes,) = plots.learning_curve(history, "validation").axes
    low, high = axes.get_ylim()
    assert high - low >= 0.1 - 1e-9
    assert low < 0.901 < 0.903 < high


def test_learning_curve_leaves_out_losses_that_are_not_finite():
    history = [{"epoch": 1, "loss": float("nan")}, {"epoch": 2, "loss": 1.0}]
    (axes,) = plots.learning_curve(history, "losses").axes
    assert axes.lines[0].get_xydata().tolist() == [[2.0, 1.0]]


def test_learning_curve_as_markdown_is_a_picture_with_its_figures():
    picture, table = learning_curve_markdown(HISTORY).split("\n\n")
    prefix = "![Learning curve](data:image/png;base64,"
    assert picture.startswith(prefix)
    image = Image.open(io.BytesIO(base64.b64decode(picture.removeprefix(prefix).rstrip(")"))))
    assert image.format == "PNG"
    assert image.width > 2 * image.height
    header, _, *rows = table.splitlines()
    assert "validation_field_f1" in header
    assert len(rows) == 3
    assert "–" in rows[2]
    assert learning_curve_markdown([]) is None


def test_learning_curve_of_nothing_says_so():
    (axes,) = plots.learning_curve([{"epoch": 1}], "losses").axes
    assert axes.texts[0].get_text() == "not recorded"


def test_the_same_figure_gives_the_same_bytes_and_stays_an_svg():
    first, second = (svg_uri(plots.learning_curve(HISTORY, "losses")) for _ in range(2))
    assert first == second
    prefix = "data:image/svg+xml;base64,"
    assert ET.fromstring(base64.b64decode(first.removeprefix(prefix))).tag.endswith("svg")


def test_style_does_not_leak():
    import matplotlib

    before = dict(matplotlib.rcParams)
    svg_uri(plots.learning_curve([], "losses"))
    assert dict(matplotlib.rcParams) == before
