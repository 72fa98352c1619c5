"""The figures of experiments and measurements: no text meets another, and a model has one colour in all of them."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from scripts.experiments import cost, fixed_vector, parallel, scale
from scripts.report import COLOURS, MODEL_COLOURS, ROOT, read_json
from scripts.speed import curves, growth_curves

WIDTHS = [4**power for power in range(1, 6)]


def drawn(monkeypatch, module, *arguments) -> Figure:
    """The figure that a script's drawing function saves."""
    figures = []
    monkeypatch.setattr(module, "save", lambda figure, _path: figures.append(figure))
    (module.draw_figure if module is parallel else module.draw)(*arguments)
    return figures[0]


def collisions(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of titles, labels and tick labels whose boxes overlap."""
    figure.canvas.draw()
    texts = []
    for axes in figure.axes:
        texts += [axes.title, axes._left_title, axes._right_title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [tick.label1 for tick in axis.get_minor_ticks() if low <= tick.get_loc() <= high]
    shown = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_visible() and text.get_text()]
    return [(a, b) for (a, one), (b, other) in itertools.combinations(shown, 2) if one.overlaps(other)]


def scale_records() -> tuple[dict, dict]:
    fresh = {
        (d, scaled): SimpleNamespace(entropy=0.9 / d, jacobian=0.2 / d**2, query_gradient_mean=0.3 + scaled * d / 400)
        for d in scale.WIDTHS
        for scaled in (True, False)
    }
    looks = {
        (d, scaled): [SimpleNamespace(gradient=0.25 + scaled * d / 600, entropy=0.5, loss=4 + d / 1e4)]
        for d in WIDTHS
        for scaled in (True, False)
    }
    return fresh, looks


def cost_records() -> dict:
    return {
        kind: [SimpleNamespace(positions=128 * 2**n, training=1e-4 * 4**n, training_bytes=1e5 * 3**n) for n in range(8)]
        for kind in ("explicit", "linear")
    }


def speeds() -> dict:
    return {
        model: [SimpleNamespace(length=length, tokens_per_second=9e3 / length) for length in parallel.LENGTHS]
        for model in parallel.MODELS
    }


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        (scale, (*scale_records(), "")),
        (cost, (cost_records(), "")),
        (parallel, (speeds(), "")),
        (curves, (read_json(ROOT / "docs/speed/curves.json")["replies"], "")),
        (growth_curves, (read_json(ROOT / "docs/speed/growth.json")["replies"], "")),
    ],
    ids=["scale", "cost", "parallel", "curves", "growth"],
)
def test_no_text_meets_another(monkeypatch, module, arguments):
    figure = drawn(monkeypatch, module, *arguments)
    assert not collisions(figure)
    assert figure.axes[0].get_legend()


def test_two_dropouts_have_a_panel_each(monkeypatch):
    replies = {f"{path}, dropout {dropout}": [[2.0, 1.0]] for path in ("fast", "plain") for dropout in ("0.0", "0.3")}
    figure = drawn(monkeypatch, curves, replies, "")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["dropout 0", "dropout 0.3"]
    for axes in figure.axes:
        assert len({line.get_color() for line in axes.lines}) == len(axes.lines) == 2


def test_a_model_has_one_colour(monkeypatch):
    colours = {line.get_label(): line.get_color() for line in drawn(monkeypatch, parallel, speeds(), "").axes[0].lines}
    test = fixed_vector.Test(["a b"], ["c d"], {name: ["c d"] for name in (*MODEL_COLOURS, fixed_vector.SHIPPED)})
    figure = drawn(monkeypatch, fixed_vector, "", {"a corpus": test}, {"a corpus": [(1, 5, np.array([0]))]})
    other = {line.get_label(): line.get_color() for line in figure.axes[0].lines}
    assert colours == {name: MODEL_COLOURS[name] for name in parallel.MODELS}
    assert colours.items() <= other.items() and other[fixed_vector.SHIPPED] not in COLOURS
