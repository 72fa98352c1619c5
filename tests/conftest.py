"""What several test files share."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# Tests run on busy machines: time decides nothing, work does. The same examples are drawn in every run.
settings.register_profile("nmt", deadline=None, derandomize=True)
settings.load_profile("nmt")


FIRST = {
    *("test_experiments", "test_distributed", "test_crash", "test_translate_with_ray", "test_page_engine"),
    *("test_engines", "test_training", "test_guided_training", "test_architectures_at_work", "test_hostile_input"),
}
"""The slowest files start first, so that no worker is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in FIRST)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny tensors are slower on several threads."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache directory of the tests' own, with the corpora of the user's."""
    from nmt.files import cache_directory

    users, own = cache_directory(), tmp_path_factory.mktemp("cache")
    for name in ("corpora", "downloads"):
        (users / name).mkdir(parents=True, exist_ok=True)
        (own / name).symlink_to(users / name)
    os.environ["NMT_CACHE"] = str(own)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole checkpoint of a tiny translator. All tests and workers share it: copy it before changing it."""
    from filelock import FileLock
    from tiny import write_tiny_checkpoint

    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny-checkpoint"
    with FileLock(f"{directory}.lock"):
        return directory if directory.exists() else write_tiny_checkpoint(directory)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the toy corpus, its cache and a configuration."""
    from toy import toy_config

    place = tmp_path_factory.mktemp("toy")
    toy_config(place)
    return place


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    """The checkpoint of an unbroken short run in `place`. A module's tests share it: copy it before changing it."""
    from toy_runs import fit

    return fit(place, "whole")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Callable:
    """A function that gives a command by the end of its name."""
    from commands import Command

    return lambda name: Command(f"nmt-{name}", import_module(f"nmt.cli.{name}").main, monkeypatch, capfd)


@pytest.fixture
def translate(command: Callable) -> Callable:
    return command("translate")


@pytest.fixture
def train(command: Callable) -> Callable:
    return command("train")
