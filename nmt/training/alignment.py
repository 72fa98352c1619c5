"""Training of the alignment head: teachers learn to align without supervision, the head learns from them.

1. The teachers: a `JointHmm`, which takes seconds; in large budgets also a `MixtureAligner` for each direction, which
   maximises the likelihood of the target words given the source words.
2. They give their posteriors for every cell of every training pair, the mean of both directions and of both kinds.
   Cells of a punctuation mark and a word are set to zero: without that, a mark that the other language lacks (the
   Spanish `¿`) is explained by a word that comes with it (`do`).
3. The `AlignmentHead`, which sees both sentences, learns that average cell by cell (cross-entropy), as alignments of
   a model's own are used by Garg et al. (2019, section 4.2) and Chen et al. (2020, section 3.2). It is small and has
   no vectors of whole words, so it generalises what its teachers only remember.

The models stand in `nmt.alignment`: `hmm`, `mixture`, and `network`, the head, whose use is `nmt.alignment.head`.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from nmt.alignment.hmm import JointHmm
from nmt.alignment.mixture import MixtureAligner
from nmt.alignment.network import AlignmentHead
from nmt.alignment.word_corpus import FORWARD, REVERSE, WordCorpus, WordPairs
from nmt.batching import BatchSampler
from nmt.config import AlignerConfig
from nmt.errors import UserError
from nmt.files import atomic_path
from nmt.text.subwords import Subwords
from nmt.training.loss import non_finite_reason
from nmt.training.workers import computing_with, end_with_parent

ProgressCallback = Callable[[str, int, int, float | None], None]
"""Called with the stage's name, step, steps, and the mean loss of the latest steps, where the stage has one."""


def stage_line(stage: str, step: int, steps: int, loss: float | None) -> str:
    """What a `ProgressCallback` is given, in words."""
    return f"{stage} {step}/{steps}" + ("" if loss is None else f", loss {loss:.3f}")


SAVE_EVERY = 100
"""Steps between two states of a network in training."""


class Stage(NamedTuple):
    """The training of one network."""

    name: str
    steps: int
    state: Path
    """The file that keeps the network and the optimiser, to go on after an interruption."""


@dataclass(frozen=True)
class HeadTraining:
    """How an alignment head is trained; the result depends on `config` and `seed` alone."""

    config: AlignerConfig
    seed: int = 1
    processes: int = 1
    """Cores to use: threads of the hidden Markov models; from 2 on, both mixture models train at once, a core each."""
    on_progress: ProgressCallback | None = None
    keeps_interrupted: bool = False
    """Whether Ctrl-C ends a stage, which keeps what it has learned, and not the training."""

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Around a stage: where `keeps_interrupted`, KeyboardInterrupt ends the stage alone, with a warning."""
        try:
            yield
        except KeyboardInterrupt:
            if not self.keeps_interrupted:
                raise
            warnings.warn("interrupted: this stage ends with what it has learned; the next begins", stacklevel=2)

    def sampler(self, corpus: WordPairs) -> BatchSampler:
        """The order of the corpus."""
        return BatchSampler(*corpus.lengths, self.config.batch_words, self.seed)


def train_aligner(
    pairs: Iterable[tuple[str, str]],
    subwords: Subwords,
    training: HeadTraining,
    directory: str | Path,
    links: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Train an alignment head on sentence pairs (first language, second language); returns its parameters, float32.

    With `links` [links, 3], each (pair, first language's word, second language's word), no teacher is trained and the
    head learns them instead: guided alignment (Chen et al. 2016; Garg et al. 2019, section 4.2).

    `directory` keeps the teachers' posteriors and the networks in training, so an interrupted run goes on from there,
    to the same parameters. Raises UserError when no pair is usable.
    """
    corpus, directory = WordCorpus.of(pairs, subwords, training.config.longest), Path(directory)
    targets = teach(corpus, training, directory) if links is None else cells_of_links(corpus, links)
    return train_head(corpus, targets, training, directory)


def teach(corpus: WordCorpus, training: HeadTraining, directory: Path, known: np.ndarray | None = None) -> np.ndarray:
    """[all cells], float32: the posteriors of `teach_hmm`, which starts from the links `known`; with `teacher_steps`,
    their mean with those of `teach_mixtures`."""
    targets = teach_hmm(corpus, training, directory, known)
    if training.config.teacher_steps:
        with training.interruptible():
            targets = (targets + teach_mixtures(corpus, training, directory)) / 2
    return targets


def teach_hmm(
    corpus: WordCorpus, training: HeadTraining, directory: Path, known: np.ndarray | None = None
) -> np.ndarray:
    """[all cells], float32: the posteriors of a `JointHmm` trained on the pairs, whose file in `directory` is kept.

    `known` [all cells] are links that are believed already, such as another head's probabilities: the models start
    from them. Where `training` keeps what an interruption leaves, the posteriors are those of the iterations so far.
    """
    config, on_progress = training.config, training.on_progress
    key = digest(corpus.fingerprint(), config.model_1_iterations, config.hmm_iterations, known)
    file = directory / f"aligner-teacher-hmm-{key}.npz"
    if (kept := _kept(file)) is not None:
        return kept
    model = JointHmm(corpus, training.processes)
    if known is not None:
        model.start(known)

    def on_step(step: int, steps: int) -> None:
        if on_progress:
            on_progress("hidden Markov models", step, steps, None)

    with computing_with(threads=1), training.interruptible():
        model.learn(config.model_1_iterations, config.hmm_iterations, on_step)
        posteriors = model.posteriors()
        _keep(file, posteriors)
        return posteriors
    with computing_with(threads=1):
        return model.posteriors()


def teach_mixtures(corpus: WordCorpus, training: HeadTraining, directory: Path) -> np.ndarray:
    """[all cells], float32: the mean posteriors of two `MixtureAligner`s, whose files in `directory` are kept."""
    config = training.config
    if training.on_progress:
        training.on_progress("mixture models", 0, config.teacher_steps, None)
    batches = len(training.sampler(corpus).batches(0))
    # What the teachers' files do not depend on: the head's own sizes, and its steps beyond one epoch.
    fixed = {"student_steps": min(config.student_steps, batches), "width": 0, "hidden": 0, "context": 0}
    key = digest(corpus.fingerprint(), json.dumps({**config.model_dump(), **fixed}), training.seed)
    files = [directory / f"aligner-teacher-{name}-{key}.npz" for name in ("forward", "reverse")]
    missing = [(direction, path) for direction, path in enumerate(files) if _kept(path) is None]
    if training.processes > 1 and len(missing) > 1:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
            seen = training.on_progress is None or sys.stderr.isatty()  # a terminal has the workers' bars
            own = replace(training, on_progress=None if seen else _tell)
            for job in [pool.submit(_teach, corpus, direction, own, path) for direction, path in missing]:
                job.result()
    else:
        for direction, path in missing:
            _teach(corpus, direction, training, path)
    forward, reverse = (_kept(path) for path in files)
    if forward is None or reverse is None:
        raise UserError(f"the files of the alignment head's teachers in {directory} cannot be read back; run again")
    targets = (forward.astype(np.float32) + reverse) / 2
    targets[_mixed_cells(corpus)] = 0
    return targets


def _tell(*progress) -> None:
    print(stage_line(*progress), file=sys.stderr, flush=True)


# These models are so small that a second thread costs more than it does; one also keeps results reproducible.
@computing_with(threads=1)
def train_head(
    corpus: WordCorpus,
    targets: np.ndarray,
    training: HeadTraining,
    directory: Path,
    start: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Train an `AlignmentHead` on link probabilities (or 0/1 links of any origin) of the corpus.

    `targets` [all cells], float: for each pair its [target, source] matrix, row by row, one pair after another.
    `start` are the parameters of a head of the same sizes that training begins with. `directory` keeps the head in
    training.
    """
    torch.manual_seed(training.seed)
    head = AlignmentHead(training.config, corpus.pieces)
    if start is not None:
        head.load_state_dict({name: torch.from_numpy(np.array(value, np.float32)) for name, value in start.items()})

    def loss_of(numbers: np.ndarray) -> tuple[Tensor, Tensor]:
        source, target = corpus.batch(FORWARD, numbers), corpus.batch(REVERSE, numbers)
        logits = head(source, target, *corpus.types)
        wanted = torch.zeros_like(logits)
        for row, number in enumerate(numbers):
            cells = torch.from_numpy(corpus.matrix_of(number, targets))
            wanted[row, : cells.size(0), : cells.size(1)] = cells
        real = target.mask[:, :, None] * source.mask[:, None]
        loss = F.binary_cross_entropy_with_logits(logits, wanted, weight=real, reduction="sum")
        return loss, target.mask.sum()

    recipe = training.config.model_dump_json(), training.seed
    key = digest(corpus.fingerprint(), *recipe, targets, *(start.values() if start else ()))
    stage = Stage("alignment head", training.config.student_steps, directory / f"aligner-head-{key}.npz")
    with training.interruptible():
        _optimise(head, corpus, loss_of, stage, training)
    return {name: value.detach().numpy().copy() for name, value in head.state_dict().items()}


def cells_of_links(corpus: WordCorpus, links: np.ndarray) -> np.ndarray:
    """[all cells], float32: 1 for `links` [links, 3] (pair that was given, source word, target word), 0 elsewhere."""
    cells = np.zeros(corpus.cell_starts[-1], np.float32)
    pair, source, target = links[np.isin(links[:, 0], corpus.kept)].T
    row = np.searchsorted(corpus.kept, pair)
    cells[corpus.cell_starts[row] + target * corpus.lengths[FORWARD][row] + source] = 1
    return cells


@computing_with(threads=1)
def _teach(corpus: WordCorpus, direction: int, training: HeadTraining, path: Path) -> None:
    """Train one `MixtureAligner` and write its posteriors, float16, all cells [target, source] in corpus order.

    Where the head's steps are less than an epoch, pairs that it does not come to are left at zero.
    """
    config, own = training.config, replace(training, seed=training.seed + direction)
    torch.manual_seed(own.seed)
    sides = (FORWARD, REVERSE) if direction == FORWARD else (REVERSE, FORWARD)
    model = MixtureAligner(config, corpus.pieces, corpus.types[sides[0]], corpus.types[sides[1]])

    def loss_of(numbers: np.ndarray) -> tuple[Tensor, Tensor]:
        source, target = corpus.batch(sides[0], numbers), corpus.batch(sides[1], numbers)
        likelihood = model(source, target).logsumexp(-1)  # [batch, target]
        return -(likelihood * target.mask).sum(), target.mask.sum()

    name = "forward teacher" if direction == FORWARD else "reverse teacher"
    stage = Stage(name, config.teacher_steps, path.with_suffix(".state.npz"))
    _optimise(model, corpus, loss_of, stage, own)
    model.eval()
    posteriors = np.zeros(corpus.cell_starts[-1], np.float16)
    with torch.no_grad():
        for numbers in training.sampler(corpus).batches(0)[: config.student_steps]:
            posterior = model(corpus.batch(sides[0], numbers), corpus.batch(sides[1], numbers)).softmax(-1).numpy()
            for row, number in enumerate(numbers):
                matrix = corpus.matrix_of(number, posteriors)  # [target, source] of the corpus
                matrix = matrix if direction == FORWARD else matrix.T
                matrix[:] = posterior[row, : matrix.shape[0], : matrix.shape[1]]
    _keep(path, posteriors)
    stage.state.unlink()


def digest(*parts: object) -> str:
    """A short hash of everything that a file is made from, arrays by their numbers."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else f"{part} ".encode())
    return whole.hexdigest()[:12]


def _keep(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        np.savez(temporary, array)


def _kept(path: Path) -> np.ndarray | None:
    """What `_keep` wrote; None when it is absent, or damaged, which the archive's checksum tells."""
    try:
        with np.load(path) as archive:
            return archive["arr_0"]
    except Exception:  # zipfile has many words for damage; whichever it is, the stage begins again
        return None


def _optimise(
    model: nn.Module,
    corpus: WordCorpus,
    loss_of: Callable[[np.ndarray], tuple[Tensor, Tensor]],
    stage: Stage,
    training: HeadTraining,
) -> None:
    """Adam (Kingma and Ba 2015) with a short warmup and a decay to zero over the steps, from the kept state on."""
    peak, on_progress, (name, steps, _) = training.config.learning_rate, training.on_progress, stage
    optimiser = torch.optim.Adam(model.parameters(), lr=peak, betas=(0.9, 0.98), fused=True)
    model.train()
    recent, first = 0.0, _restore(stage.state, model, optimiser)
    batches = islice(chain.from_iterable(map(training.sampler(corpus).batches, count())), first, None)
    warmup = min(200, max(1, steps // 5))
    for step in tqdm(range(first, steps), desc=name, unit="step", disable=None, initial=first, total=steps):
        rate = min(1.0, (step + 1) / warmup) * (1 - step / steps) ** 0.7
        for group in optimiser.param_groups:
            group["lr"] = peak * rate
        loss, words = loss_of(next(batches))
        loss = loss / words
        optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if fault := non_finite_reason(loss.item(), norm.item()):
            raise UserError(f"{name}, step {step + 1}: {fault}; look at the corpus (the translator's weights are kept)")
        optimiser.step()
        recent += loss.item()
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            _save(stage.state, step + 1, model, optimiser)
            if on_progress:
                on_progress(name, step + 1, steps, recent / (step % SAVE_EVERY + 1))
            recent = 0.0


def _save(path: Path, step: int, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Keep all that the next steps depend on."""
    content = io.BytesIO()
    networks = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save({"step": step, "random": torch.get_rng_state(), **networks}, content)
    _keep(path, np.frombuffer(content.getbuffer(), np.uint8))


def _restore(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Take up what `_save` kept; returns the steps done, 0 where nothing is kept."""
    content = _kept(path)
    if content is None:
        return 0
    kept = torch.load(io.BytesIO(content.data), weights_only=True)
    model.load_state_dict(kept["model"])
    optimiser.load_state_dict(kept["optimiser"])
    torch.set_rng_state(kept["random"])
    return kept["step"]


def _mixed_cells(corpus: WordPairs) -> np.ndarray:
    """[all cells], bool: a punctuation mark on one side, a word on the other."""
    mixed = np.empty(corpus.cell_starts[-1], bool)
    sides = (corpus.punctuation[side][corpus.words[side]] for side in (REVERSE, FORWARD))
    target, source = (np.split(marks, starts[1:-1]) for marks, starts in zip(sides, corpus.starts[::-1], strict=True))
    for pair, (rows, columns) in enumerate(zip(target, source, strict=True)):
        corpus.matrix_of(pair, mixed)[:] = rows[:, None] != columns
    return mixed
