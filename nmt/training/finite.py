"""Numbers that are not numbers: a step whose loss or gradient is infinite or NaN is never taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from nmt.config import TrainingConfig
from nmt.errors import UserError
from nmt.training.state import Progress

NAMED = 5
"""Pairs that a message names."""


def fault_of(loss: float, norm: float) -> str | None:
    """What is wrong with a step's loss and the norm of its gradient, in words; None when the step may be taken.

    A finite norm in float32 bounds every element by 1.8e19, so that Adam's mean square stays finite too.
    """
    if not math.isfinite(loss):
        return "the loss is not finite"
    return None if math.isfinite(norm) else "the gradient is not finite"


def leave_out_step(
    fault: str,
    pairs: Sequence[int],
    batches: int,
    settings: TrainingConfig,
    progress: Progress,
    tell: Callable[[str], None],
) -> None:
    """Count and `tell` of a step that was not taken; `pairs` are its `batches`', by number in the training split.

    Raises UserError when `settings` say so: at once, or after too many in a row.
    """
    progress.skipped += 1
    progress.skipped_in_a_row += 1
    more = f" and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
    named = ", ".join(str(number) for number in sorted(pairs)[:NAMED])
    taken = f"batch {progress.batch}" if batches == 1 else f"batches up to {progress.batch}"
    where = f"step {progress.step + 1} (epoch {progress.epoch}, {taken}, pairs {named}{more}): {fault}"
    if settings.non_finite == "stop":
        raise UserError(
            f"{where}; the last good state is kept: see to these pairs, or start anew with a lower "
            "training.learning_rate or training.non_finite=skip"
        )
    if progress.skipped_in_a_row >= settings.non_finite_limit:
        raise UserError(
            f"{where}, as in {progress.skipped_in_a_row} steps in a row (training.non_finite_limit); "
            "the last good state is kept: start anew with a lower training.learning_rate"
        )
    tell(f"{where}; step skipped")
