"""The cores claim: target tokens a second of the quickstart's training on two cores and on one."""

from __future__ import annotations

from scripts.report import THREADS
from scripts.speed.claim import Claim, Told
from scripts.speed.turns import Contestant, Figures, contest, rates

SECONDS, ROUNDS = 15, 5


def measure() -> dict:
    """Raw replies of the training loop on one core and on two."""
    request = {"seconds": SECONDS}
    counts = {str(cores): ["quickstart", "{}", "auto", str(cores)] for cores in range(1, THREADS + 1)}
    return contest([Contestant(name, "ours_training", given, request) for name, given in counts.items()], ROUNDS)


def tell(replies: dict) -> Told:
    """Tokens a second, and the ratio of adjacent turns."""
    speed = {name: rates(found, "tokens") for name, found in replies.items()}
    peak = {name: max(reply["peak_bytes"] for reply in found) for name, found in replies.items()}
    rows = [[name, figures.text(), f"{peak[name] / 1e6:,.0f}"] for name, figures in speed.items()]
    one, *_, most = ([reply["tokens"] / reply["seconds"] for reply in found] for found in replies.values())
    ratio = Figures.of([more / less for more, less in zip(most, one, strict=True)])
    text = f"{ratio.median:.2f}x ({ratio.lowest:.2f} to {ratio.highest:.2f})"
    summary = [("training: tokens a second of the quickstart, two cores to one", text)]
    return Told(["cores", "target tokens a second", "peak memory, MB"], rows, summary)


CLAIM = Claim("cores", measure, tell)
