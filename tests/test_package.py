"""The wheel: what a user installs has everything in it, the shipped checkpoint included."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(place), str(ROOT)], check=True, capture_output=True
    )
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def run(unpacked_wheel: Path, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess:
    # Another directory, and no way to the clone: the unpacked wheel is all that there is of this project.
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from nmt.cli.translate import entry; sys.exit(entry())"
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "NMT_CHECKPOINT")}
    return subprocess.run(
        [sys.executable, "-P", "-c", code, str(unpacked_wheel), *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_translates_with_the_shipped_checkpoint_from_any_directory(unpacked_wheel, tmp_path):
    result = run(unpacked_wheel, tmp_path, "Where is the station?")
    assert (result.returncode, result.stdout) == (0, "¿Dónde está la estación?\n"), result.stderr
    result = run(unpacked_wheel, tmp_path, "¿Dónde está la estación?", "--checkpoint", "tatoeba-es-en")
    assert (result.returncode, result.stdout) == (0, "Where's the station?\n"), result.stderr
    page = tmp_path / "page.html"
    result = run(unpacked_wheel, tmp_path, "Where is the station?", "--plot", str(page))
    assert result.returncode == 0, result.stderr
    assert "estaci" in page.read_text()  # the page escapes what is not ASCII


def test_the_wheel_has_no_run_state_and_names_its_licence(unpacked_wheel):
    names = [str(path.relative_to(unpacked_wheel)) for path in unpacked_wheel.rglob("*")]
    assert not any("training/" in name and "shipped" in name for name in names)
    assert any(name.endswith("LICENSE") for name in names)
    shipped = sum(path.stat().st_size for path in (unpacked_wheel / "nmt" / "shipped").rglob("*") if path.is_file())
    assert shipped <= 2 * 20_000_000
