"""`scripts/check_gpu.py`: one line without a device; its checks, with the CPU in the device's place."""

import pytest
import torch

from scripts import check_gpu


def test_without_a_device_one_line_says_so(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check_gpu.main(["--output", str(tmp_path / "gpu.json")]) == 0
    assert capsys.readouterr().out == "no CUDA device: nothing was checked\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("check", [check_gpu.losses, check_gpu.engines, check_gpu.torchrun, check_gpu.speed])
def test_a_check_passes_on_the_cpu(check, tmp_path):
    found = check(check_gpu.Bench(torch.device("cpu"), True, tmp_path))
    assert found.pop("passed"), found
