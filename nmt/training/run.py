"""A whole run, from a configuration to a finished checkpoint."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from nmt.alignment.head import Aligner
from nmt.checkpoint import ALIGNER, METADATA, WEIGHTS, write_checkpoint_metadata, write_text
from nmt.confidence_fit import calibrate_checkpoint
from nmt.config import RunConfig, load_config
from nmt.corpus import Corpus, load_corpus, pairs_of
from nmt.errors import UserError
from nmt.files import cache_directory, expanded, sha256_of
from nmt.languages import check_languages
from nmt.models import Model, build_model, load_weights
from nmt.text.names import courtesy_titles
from nmt.text.numerals import number_words
from nmt.text.subwords import Subwords
from nmt.training.alignment import HeadTraining, stage_line, train_aligner
from nmt.training.card import write_card
from nmt.training.context import Run
from nmt.training.device import choose_device, release_memory
from nmt.training.directory import (
    began_before_restart,
    begin_directory,
    check_directory,
    check_place,
    run_lock,
    write_changes,
)
from nmt.training.distributed import joined
from nmt.training.guidance import Guide
from nmt.training.initial import Initial
from nmt.training.log import describe_budget
from nmt.training.loop import run_steps
from nmt.training.optimizers import make_optimizer
from nmt.training.pairs import EncodedPairs
from nmt.training.precision import compute_dtype_of
from nmt.training.preparation import encode_splits, guiding_links, load_subwords, new_subwords, spread
from nmt.training.signals import Interrupted
from nmt.training.state import Progress, State, average, averaged_steps, state_directory, write_weights
from nmt.training.validation import Validator, dev_loss

HEAD_RECORD = "training/alignment-head.json"
"""Record of the alignment head's training."""


def train(config: RunConfig | str | Path, resume: bool = False, overwrite: bool = False) -> Path:
    """Train the model that `config`, or the YAML file of that name, describes; returns its checkpoint, the directory
    `config.checkpoint`.

    Raises UserError for impossible requests, and Interrupted after a signal, once the state is saved.
    """
    config = config if isinstance(config, RunConfig) else load_config(config)
    check_languages(config.data)
    device = choose_device(config.training.device)
    torch.set_num_threads(config.training.threads or torch.get_num_threads())
    directory, state = expanded(config.checkpoint), None
    with joined(device) as ranks, contextlib.ExitStack() as held:
        with ranks.rank_zero_first():  # rank 0 creates what is missing; the others find it
            if ranks.leads:
                resume = resume or began_before_restart(directory, overwrite)
                check_place(directory, resume)
                held.enter_context(run_lock(directory))
                state = check_directory(directory, config, resume, overwrite)
            corpus = load_corpus(config.data)
            ranks.tell(corpus.describe())
            # Fail on a bad links file before training starts.
            links = guiding_links(config, corpus) if ranks.leads and config.alignment.links else None
            begins = ranks.leads and state is None
            if state:
                for name in state.restore_files(directory):
                    ranks.tell(f"{directory / name} was missing or altered; restored")
                write_changes(directory, config, state)
            initial = Initial.load(config.training.initial) if config.training.initial and begins else None
            subwords = new_subwords(config, corpus, initial) if begins else load_subwords(directory)
            train_pairs, dev_pairs = encode_splits(config, corpus, subwords, ranks.tell)
            if begins:  # all checks have passed, so an earlier run may be removed
                begin_directory(directory, config, subwords)
                if initial and config.alignment.head and (record := initial.copy_head(directory / ALIGNER, subwords)):
                    write_text(directory / HEAD_RECORD, json.dumps(record))
            ranks.tell(describe_budget(config, (directory / ALIGNER).exists()))
            run = Run(config, directory, corpus, subwords, ranks, device)
            if config.alignment.guide_weight:
                if not (directory / ALIGNER).exists():
                    train_alignment_head(run, links)
                train_pairs.guide = guide_of(run)
        metadata = train_translator(run, train_pairs, dev_pairs, state)
        if ranks.leads:
            finish_checkpoint(run, metadata, links)
    return directory


def train_translator(run: Run, train_pairs: EncodedPairs, dev_pairs: EncodedPairs, state: State | None) -> dict:
    """Train from `state`, or from the beginning, and write the chosen weights; returns the metadata on rank 0."""
    config, directory, corpus, subwords, ranks = run.config, run.directory, run.corpus, run.subwords, run.ranks
    state = ranks.gather(state)[0]
    if len(set(ranks.gather((corpus.sha256, subwords.sha256)))) > 1:
        raise UserError(f"the processes see different files of {directory} or the corpus; put both where all see them")
    torch.manual_seed(config.training.seed)
    model = build_model(config.model, len(subwords), subwords.target_size).to(run.device)
    optimizer = make_optimizer(model, config.training)
    progress = Progress()
    if state is not None:
        ranks.tell(state.describe())
        progress = state.progress
        check_unchanged(progress, corpus, subwords)
        state.restore(model, optimizer)
        if ranks.leads and not progress.finished:
            (directory / METADATA).unlink(missing_ok=True)  # it describes the old weights
    elif config.training.initial:
        initial = Initial.load(config.training.initial)
        initial.copy_weights(model)
        progress.initial = initial.checkpoint.files[WEIGHTS]
    progress.corpus, progress.subwords = corpus.sha256, subwords.sha256
    parameters = sum(parameter.numel() for parameter in model.parameters())
    devices = f"{ranks.count} processes on {run.device.type}" if ranks.count > 1 else run.device
    ranks.tell(f"{parameters:,} parameters, {len(subwords):,} pieces, {len(train_pairs):,} pairs, {devices}")
    run_steps(run, model, optimizer, train_pairs, progress, Validator(run, dev_pairs))
    return choose_weights(run, model, dev_pairs, progress) if ranks.leads else {}


def choose_weights(run: Run, model: Model, dev_pairs: EncodedPairs, progress: Progress) -> dict:
    """Write the averaged or the best weights, whichever has the lower dev loss; returns the metadata."""
    config, directory = run.config, run.directory
    place = state_directory(directory, progress.step)
    steps = averaged_steps(config.training, progress.validations)
    load_weights(model, average(place, steps), directory)
    chosen = f"mean of steps {sorted(steps)}" if len(steps) > 1 else f"step {steps[0]}"
    loss = dev_loss(model, dev_pairs, config.training.batch_tokens)
    best_loss, best_step = min(progress.validations)
    if loss > best_loss:
        load_weights(model, average(place, [int(best_step)]), directory)
        loss, chosen = best_loss, f"step {int(best_step)}"
    write_weights(directory, config, model)
    versions = {name: importlib.metadata.version(name) for name in ("torch", "sentencepiece", "datasets", "sacrebleu")}
    print(f"dev loss {loss:.3f} ({chosen})", file=sys.stderr)
    return {
        "source": config.data.source,
        "target": config.data.target,
        "max_length": config.model.max_length,
        "decoding": config.decoding.model_dump(),
        "alignment_layer": config.alignment_layer,
        "alignment_heads": list(range(config.alignment.guided_heads)) if config.alignment.guide_weight else None,
        "number_words": number_words(config.data.source, config.data.target) if config.data.augment.numbers else None,
        "titles": courtesy_titles(config.data.source, config.data.target),
        "initial": progress.initial or None,
        "weights": chosen,
        "dev_loss": round(loss, 4),
        "steps": progress.step,
        "skipped_steps": progress.skipped,
        "epochs": progress.epoch,
        "target_pieces": progress.target_tokens,
        "minutes": round(progress.seconds / 60, 1),
        "threads": torch.get_num_threads(),
        "precision": "bfloat16" if compute_dtype_of(config.training, run.device) else "float32",
        "seed": config.training.seed,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "corpus_sha256": run.corpus.sha256,
        "versions": {"python": platform.python_version(), **versions},
    }


def finish_checkpoint(run: Run, metadata: dict, links: np.ndarray | None) -> None:
    """Train the alignment head, if configured and not done before, and write model card and metadata."""
    try:
        if run.config.alignment.head:
            if not (run.directory / ALIGNER).exists():
                train_alignment_head(run, links)
            metadata["alignment_head"] = json.loads((run.directory / HEAD_RECORD).read_text())
    except (UserError, Interrupted):  # the translator works without its alignment head
        write_checkpoint_metadata(run.directory, metadata)
        print(f"the translator in {run.directory} is done; only its alignment head is missing", file=sys.stderr)
        raise
    write_card(run.directory, run.config, run.corpus, metadata)
    write_checkpoint_metadata(run.directory, metadata)
    calibrate_checkpoint(run.directory, run.corpus.dev, torch.get_num_threads())
    command = f'nmt-translate --checkpoint {shlex.quote(str(run.directory))} "..."'
    print(f"checkpoint: {run.directory}; translate with: {command}", file=sys.stderr)


def train_alignment_head(run: Run, links: np.ndarray | None) -> None:
    """Train the alignment head, which depends on the corpus and not on the translator, and write it with its record.

    With `links`, those of `guiding_links`, it learns these.

    Raises UserError, and Interrupted after Ctrl-C.
    """
    config, directory, corpus = run.config, run.directory, run.corpus
    recipe = config.head_recipe
    pairs = pairs_of(corpus.train.select(spread(len(corpus.train), config.alignment.training_pairs)))
    processes = min(2, torch.get_num_threads())
    print("training the alignment head ...", file=sys.stderr)
    started = time.monotonic()

    def report(stage: str, step: int, steps: int, loss: float | None) -> None:
        tqdm.write(stage_line(stage, step, steps, loss), file=sys.stderr)

    release_memory()  # the teachers train in processes of their own, beside this one
    training = HeadTraining(recipe, config.training.seed, processes, report)
    try:
        parameters = train_aligner(pairs, run.subwords, training, directory / "training", links)
    except KeyboardInterrupt:
        raise Interrupted("stopped in the alignment head's training") from None
    record = {
        **recipe.model_dump(),
        "minutes": round((time.monotonic() - started) / 60, 1),  # of this run: kept teachers are not counted
        "processes": processes,
        "seed": config.training.seed,
    }
    write_text(directory / HEAD_RECORD, json.dumps(record))
    Aligner(parameters, run.subwords).save(directory / ALIGNER)


def guide_of(run: Run) -> Guide:
    """The alignment head's link probabilities for every training pair."""
    corpus, path = run.corpus, run.directory / ALIGNER
    key = f"2 {corpus.report['splits']['train']['sha256']} {sha256_of(path)}"
    place = cache_directory(run.config.data.cache) / "guides" / hashlib.sha256(key.encode()).hexdigest()[:32]

    def matrices() -> Iterator[np.ndarray]:
        run.ranks.tell("aligning the training pairs ...")
        aligner = Aligner.read(path, run.subwords)
        for rows in corpus.train.iter(batch_size=1000):
            yield from (
                pair.probabilities for pair in aligner.align(list(zip(rows["source"], rows["target"], strict=True)))
            )

    return Guide(place, matrices())


def check_unchanged(progress: Progress, corpus: Corpus, subwords: Subwords) -> None:
    """Raise UserError if corpus or subword model have changed since the run began."""
    for name, before, now in (
        ("corpus", progress.corpus, corpus.sha256),
        ("subword model", progress.subwords, subwords.sha256),
    ):
        if before and before != now:
            raise UserError(f"the {name} has changed since the run began; put it back, or start anew with --overwrite")
