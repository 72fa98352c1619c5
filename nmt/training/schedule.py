"""The learning rate as a function of the step and of the share of the budget spent."""

import math

from nmt.config import TrainingConfig


def learning_rate(config: TrainingConfig, step: int, progress: float) -> float:
    """The learning rate of step `step` (from 1), with `progress` (0 to 1) of the budget spent.

    Linear warm-up, then constant, inverse square root (Vaswani et al. 2017, equation 3, peak at
    `learning_rate`), or linear or cosine decay (Loshchilov and Hutter 2017) to zero at the end of the budget.
    """
    warmup = min(1.0, step / max(1, config.warmup_steps))
    if config.schedule == "inverse_sqrt":
        decay = math.sqrt(max(1, config.warmup_steps) / max(step, config.warmup_steps, 1))
    elif config.schedule == "linear":
        decay = 1 - min(1.0, progress)
    elif config.schedule == "cosine":
        decay = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    else:
        decay = 1.0
    return config.learning_rate * warmup * decay
