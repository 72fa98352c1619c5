"""Not a contestant: the machine's speed at float32 matrix products, [size, size] by [size, size]."""

from __future__ import annotations

import time

import torch

from scripts.report import THREADS
from scripts.speed.workers.pace import serve

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
