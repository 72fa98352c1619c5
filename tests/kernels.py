"""What torch computes, counted."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Calls(TorchDispatchMode):
    """Counts the kernels that are called, and keeps the size of the largest tensor that one returned."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.largest = 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        # Views cost nothing.
        if not function.is_view:
            self.count += 1
            tensors = result if isinstance(result, tuple | list) else (result,)
            self.largest = max([self.largest, *(x.numel() for x in tensors if isinstance(x, torch.Tensor))])
        return result
