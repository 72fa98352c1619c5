"""Not a contestant: the machine's speed at float32 matrix products, [size, size] by [size, size]."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmark import THREADS  # noqa: I001
from benchmark.workers.pace import serve

import torch

SIZE = 2048


def main() -> None:
    torch.set_num_threads(THREADS)
    x, y, out = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE), torch.empty(SIZE, SIZE)

    def work(request: dict) -> dict:
        products, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < request["seconds"]:
            torch.mm(x, y, out=out)
            products += 1
        return {"seconds": elapsed, "flops": 2.0 * SIZE**3 * products}

    work({"seconds": 0.5})
    serve(work)


if __name__ == "__main__":
    main()
