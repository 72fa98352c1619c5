"""Learning curves: the points drawn are the records of the log."""

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from nmt.errors import UserError
from nmt.inspection.curves import plot_curves, read_runs

SVG = "{http://www.w3.org/2000/svg}"


def run_directory(path, scale=1.0):
    """A checkpoint directory with a log as `nmt.training.log` writes it."""
    path.mkdir(parents=True)
    records = []
    for step in range(10, 201, 10):
        values = {"epoch": 0, "loss": scale + 50 / step, "learning_rate": step * 1e-5, "tokens_per_second": 2900}
        records.append({"kind": "train", "step": step, **values, "seconds": float(step)})
        if step % 50 == 0:
            scores = {"loss": scale + 45 / step, "bleu": step / 5 / scale, "chrf": 60.0, "seconds": float(step)}
            records.append({"kind": "validation", "step": step, **scores})
    (path / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def points(root: ElementTree.Element, gid: str) -> np.ndarray:
    """Corner points [n, 2] of the line that was given this identity."""
    group = next(element for element in root.iter(f"{SVG}g") if element.get("id") == gid)
    numbers = re.findall(r"-?[\d.]+", group.find(f"{SVG}path").get("d"))
    return np.array(numbers, dtype=float).reshape(-1, 2)


def test_points_are_the_records_and_several_runs_share_the_axes(tmp_path):
    runs = [run_directory(tmp_path / "one"), run_directory(tmp_path / "two", 2.0)]
    plot_curves(runs, tmp_path / "curves.svg")
    root = ElementTree.parse(tmp_path / "curves.svg").getroot()
    texts = {"".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")}
    assert {"BLEU", "chrF"} <= texts
    best = [f"best BLEU {bleu}, chrF 60.0, at step 200 (3.3 minutes)" for bleu in ("40.0", "20.0")]
    assert {"one", best[0], "two", best[1]} <= texts
    one, two = points(root, "bleu 0"), points(root, "bleu 1")
    assert len(one) == len(two) == 4
    # BLEU was step / 5 and step / 10: both lines are straight, and the first rises twice as much.
    assert np.diff(one, axis=0) == pytest.approx(np.tile(np.diff(one, axis=0)[0], (3, 1)), abs=1e-3)
    assert np.diff(one[:, 1])[0] == pytest.approx(2 * np.diff(two[:, 1])[0], rel=1e-3)
    assert one[:, 0] == pytest.approx(two[:, 0])


@pytest.mark.parametrize("suffix", ["png", "pdf", "html"])
def test_all_formats(tmp_path, suffix):
    plot_curves([run_directory(tmp_path / "<run>")], tmp_path / f"curves.{suffix}")
    content = (tmp_path / f"curves.{suffix}").read_bytes()
    assert content.startswith({"png": b"\x89PNG", "pdf": b"%PDF", "html": b"<!doctype html>"}[suffix])
    if suffix == "html":
        text = content.decode()
        assert "<td>&lt;run&gt;</td><td>200</td><td>3.3</td><td>1.225</td><td>40.00</td><td>60.00</td>" in text
        assert "<run>" not in text and "<script" not in text and "default-src 'none'" in text


def test_minutes_stand_beside_steps(tmp_path):
    plot_curves([run_directory(tmp_path / "one")], tmp_path / "curves.svg")
    root = ElementTree.parse(tmp_path / "curves.svg").getroot()
    texts = {"".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")}
    assert {"step, and minutes", "1.0 min", "3.0 min"} <= texts  # steps 60 and 180, a step a second


def test_the_page_has_a_legend_follows_dark_mode_and_fits_a_phone(tmp_path):
    plot_curves([run_directory(tmp_path / "one"), run_directory(tmp_path / "two")], tmp_path / "curves.html")
    text = (tmp_path / "curves.html").read_text()
    assert text.count("<svg") == 5 and "minmax(min(320px, 100%), 1fr)" in text
    assert "prefers-color-scheme: dark" in text
    legend = re.findall(r'<li><span style="color:(#\w+)">.+?</span> (\w+)</li>', text)
    assert [name for _, name in legend] == ["one", "two"] and len({colour for colour, _ in legend}) == 2


def test_no_tick_labels_collide(tmp_path):
    from nmt.inspection.curves import _draw

    figure = _draw(read_runs([run_directory(tmp_path / "one")]))
    figure.canvas.draw()
    for axes in figure.axes[:5]:
        labels = [label for label in axes.get_xticklabels() if label.get_text()]
        boxes = [label.get_window_extent() for label in labels]
        assert all(one.x1 < other.x0 for one, other in zip(boxes, boxes[1:], strict=False))


def test_one_validation_without_any_match_has_axes_of_its_kind(tmp_path):
    from nmt.inspection.curves import _draw

    train = {"kind": "train", "step": 12, "loss": 8.0, "learning_rate": 0.1, "tokens_per_second": 10, "seconds": 3}
    validation = {"kind": "validation", "step": 12, "loss": 8.0, "bleu": 0.0, "chrf": 0.0, "seconds": 3}
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in (train, validation)))
    figure = _draw(read_runs([tmp_path]))
    figure.canvas.draw()
    for axes in figure.axes[:5]:
        left, right = axes.get_xlim()
        shown = [label.get_text() for label in axes.get_xticklabels() if left <= label.get_position()[0] <= right]
        assert len(set(shown)) == len(shown) >= 2
    for axes in figure.axes[1:3]:
        low, high = axes.get_ylim()
        assert low == 0 and high >= 1


def test_runs_of_the_same_name_are_told_apart(tmp_path):
    runs = read_runs([run_directory(tmp_path / "a" / "run"), run_directory(tmp_path / "b" / "run")])
    assert [run.name for run in runs] == ["a/run", "b/run"]


def test_a_shipped_model_has_its_name():
    assert [run.name for run in read_runs(["tatoeba-en-es"])] == ["tatoeba-en-es"]


def test_a_name_that_begins_with_an_underscore_is_in_the_legend(tmp_path):
    plot_curves([run_directory(tmp_path / "_run")], tmp_path / "curves.svg")
    assert "_run" in (tmp_path / "curves.svg").read_text()


def test_an_unfinished_run_is_drawn(tmp_path):
    directory = tmp_path / "young"
    directory.mkdir()
    record = {"kind": "train", "step": 1, "loss": 9.0, "learning_rate": 0.1, "tokens_per_second": 10, "seconds": 1}
    (directory / "log.jsonl").write_text(json.dumps(record) + "\n" + '{"kind": "tra')
    plot_curves([directory], tmp_path / "curves.html")
    assert "no validation yet" in (tmp_path / "curves.html").read_text()


@pytest.mark.parametrize("value", [None, "9", [1], {}])
def test_values_that_are_no_numbers_are_left_out(tmp_path, value):
    names = ("loss", "bleu", "chrf", "seconds", "learning_rate", "tokens_per_second")
    wrong = dict.fromkeys(names, value)
    records = [{"kind": kind, "step": 1, **wrong} for kind in ("train", "validation")]
    records.append({"kind": "validation", "step": 2, "loss": 1.5, "bleu": 9.25})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    plot_curves([tmp_path], tmp_path / "curves.html")
    assert "<td>2</td><td></td><td>1.500</td><td>9.25</td><td></td>" in (tmp_path / "curves.html").read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no training log"),
        ("", "holds no training records"),
        ("what?\n", "holds no training records"),
        ('["kind", "step"]\n', "holds no training records"),
        ('{"kind": 1, "step": 2}\n', "holds no training records"),
    ],
)
def test_bad_logs_are_one_clear_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "log.jsonl").write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        plot_curves([tmp_path], tmp_path / "curves.png")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "curves.png").exists()
