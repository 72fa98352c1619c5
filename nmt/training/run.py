"""A whole run: from a configuration to a finished checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import platform
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from nmt.alignment import Link
from nmt.alignment.aligner import save_aligner
from nmt.alignment.pharaoh import read_pharaoh
from nmt.checkpoint import (
    ALIGNER,
    CONFIG,
    CTRANSLATE2,
    METADATA,
    SUBWORDS,
    WEIGHTS,
    write_checkpoint_metadata,
    write_text,
)
from nmt.config import RunConfig, dump_config, load_config
from nmt.corpus import Corpus, load_corpus, references
from nmt.errors import UserError
from nmt.files import atomic_path, cache_directory, expanded, remove_scratch
from nmt.models import Model, build_model, load_weights
from nmt.models.aligner import AlignerConfig
from nmt.text.subwords import Subwords
from nmt.text.words import split_words
from nmt.training.aligner import train_aligner
from nmt.training.card import CARD, write_card
from nmt.training.distributed import Ranks, joined, launch, same_launch
from nmt.training.lock import LOCK, run_lock
from nmt.training.log import LOG, RunLog
from nmt.training.loop import averaged_steps, choose_device, graceful_signals, run_steps, write_weights
from nmt.training.optimizers import make_optimizer
from nmt.training.pairs import EncodedPairs
from nmt.training.precision import precision_of
from nmt.training.release import release_memory
from nmt.training.state import Progress, State, average, find_state, state_directory
from nmt.training.validation import Scores, dev_loss, validate

OWN_FILES = (CONFIG, SUBWORDS, LOG, "tensorboard", "training", WEIGHTS, ALIGNER, CTRANSLATE2, CARD, METADATA)
"""What a run writes into its directory."""
LAUNCH = "training/launch"
"""Which start of torchrun began the run, when one did."""


def train(config: RunConfig, resume: bool = False, overwrite: bool = False) -> Path:
    """Train what `config` describes and leave a finished checkpoint in `config.checkpoint`.

    Raises UserError for impossible requests, Interrupted after a signal, with the state saved.
    """
    device = choose_device(config.training.device)
    torch.set_num_threads(config.training.threads or torch.get_num_threads())
    with joined(device) as ranks, contextlib.ExitStack() as held:
        return _train(config, device, ranks, held, resume, overwrite)


def _train(
    config: RunConfig, device: torch.device, ranks: Ranks, held: contextlib.ExitStack, resume: bool, overwrite: bool
) -> Path:
    directory = expanded(config.checkpoint)
    state = None
    with ranks.in_turn():  # rank 0 makes what is missing, the others find it made
        if ranks.leads:
            resume = resume or began_before_restart(directory, overwrite)
            check_place(directory, resume)
            held.enter_context(run_lock(directory))
            state = check_directory(directory, config, resume, overwrite)
        corpus = load_corpus(config.data)
        ranks.tell(corpus.describe())
        if ranks.leads and config.alignment.head:  # a wrong file is told of before the hours of training
            guiding_links(config, corpus)
        if ranks.leads and state is None:
            subwords = train_subwords(config, corpus)
            encoded = encode_splits(config, corpus, subwords, ranks.tell)
            begin_directory(directory, config, subwords)  # nothing is refused from here on: an earlier run may go
        else:
            for name in state.restore_files(directory) if state else ():
                ranks.tell(f"{directory / name} was lost or altered: put back as it was")
            subwords = Subwords.load(directory / SUBWORDS)
            encoded = encode_splits(config, corpus, subwords, ranks.tell)
    metadata = train_translator(config, device, directory, corpus, subwords, *encoded, state, ranks)
    if ranks.leads:
        try:
            if config.alignment.head:
                metadata["alignment_head"] = train_alignment_head(config, directory, corpus, subwords)
        except UserError:  # a head that cannot be trained costs no translator
            write_checkpoint_metadata(directory, metadata)
            raise
        write_card(directory, config, corpus, metadata)
        write_checkpoint_metadata(directory, metadata)
        print(f"checkpoint: {directory}", file=sys.stderr)
    return directory


def train_translator(
    config: RunConfig,
    device: torch.device,
    directory: Path,
    corpus: Corpus,
    subwords: Subwords,
    train_pairs: EncodedPairs,
    dev_pairs: EncodedPairs,
    state: State | None,
    ranks: Ranks,
) -> dict:
    """From `state`, or from the beginning, to the chosen weights on disk; returns rank 0's metadata of them."""
    state = ranks.gather(state)[0]
    if len(set(ranks.gather((corpus.sha256, subwords.sha256)))) > 1:
        raise UserError(f"the processes see different files of {directory} or the corpus; put both where all see them")
    shown = min(len(corpus.dev), config.training.validation_pairs)
    dev_sources, dev_references = references(corpus.dev.select(range(shown)))

    torch.manual_seed(config.training.seed)
    model = build_model(config.model, len(subwords)).to(device)
    optimizer = make_optimizer(model, config.training)
    progress = Progress()
    if state is not None:
        ranks.tell(state.describe())
        progress = state.progress
        check_unchanged(progress, corpus, subwords)
        state.restore(model, optimizer)
        if ranks.leads and not progress.finished:  # what these were made of is about to change
            (directory / METADATA).unlink(missing_ok=True)
            shutil.rmtree(directory / CTRANSLATE2, ignore_errors=True)
    progress.corpus, progress.subwords = corpus.sha256, subwords.sha256
    log = RunLog(directory, progress.step) if ranks.leads else None
    parameters = sum(parameter.numel() for parameter in model.parameters())
    devices = f"{ranks.count} processes on {device.type}" if ranks.count > 1 else device
    ranks.tell(f"{parameters:,} parameters, {len(subwords):,} pieces, {len(train_pairs):,} pairs, {devices}")

    def validation() -> Scores:
        tokens = config.training.batch_tokens
        scores = validate(
            model, dev_pairs, dev_sources, dev_references, subwords, config.decoding, tokens, ranks, config.data.target
        )
        progress.validations.append([scores.loss, progress.step])
        return scores

    try:
        with graceful_signals() as stop:
            run_steps(config, directory, model, optimizer, train_pairs, progress, log, validation, stop, ranks)
    finally:
        if log:
            log.close()
    return finish(config, directory, corpus, model, dev_pairs, progress) if ranks.leads else {}


def finish(
    config: RunConfig, directory: Path, corpus: Corpus, model: Model, dev_pairs: EncodedPairs, progress: Progress
) -> dict:
    """Choose the averaged or the best weights by dev loss, write them, and return the checkpoint's metadata."""
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
        "alignment_layer": alignment_layer(config),
        "weights": chosen,
        "dev_loss": round(loss, 4),
        "steps": progress.step,
        "skipped_steps": progress.skipped,
        "epochs": progress.epoch,
        "target_pieces": progress.target_tokens,
        "minutes": round(progress.seconds / 60, 1),
        "threads": torch.get_num_threads(),
        "precision": precision_of(config.training, next(model.parameters()).device),
        "seed": config.training.seed,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "corpus_sha256": corpus.sha256,
        "versions": {"python": platform.python_version(), **versions},
    }


def train_alignment_head(config: RunConfig, directory: Path, corpus: Corpus, subwords: Subwords) -> dict:
    """Train and write the alignment head, which reads the corpus and nothing of the translator; returns its record."""
    minutes = config.alignment.minutes
    recipe = AlignerConfig() if minutes is None else AlignerConfig.for_minutes(minutes)
    chosen = spread(len(corpus.train), config.alignment.training_pairs)
    batches = corpus.train.select(chosen).iter(batch_size=1000)
    pairs = (pair for rows in batches for pair in zip(rows["source"], rows["target"], strict=True))
    processes = min(2, torch.get_num_threads())
    print("training the alignment head ...", file=sys.stderr)
    started = time.monotonic()

    def report(stage: str, step: int, steps: int, loss: float) -> None:
        tqdm.write(f"{stage} {step}/{steps}, loss {loss:.3f}", file=sys.stderr)

    release_memory()  # the teachers are trained in processes of their own, beside what this one holds
    parameters = train_aligner(
        pairs,
        subwords,
        recipe,
        seed=config.training.seed,
        directory=directory / "training",
        processes=processes,
        on_progress=report,
        links=guiding_links(config, corpus),
    )
    save_aligner(directory / ALIGNER, parameters, subwords)
    return {
        **dataclasses.asdict(recipe),
        "minutes": round((time.monotonic() - started) / 60, 1),  # of this sitting: kept teachers count nothing
        "processes": processes,
        "seed": config.training.seed,
    }


def spread(pairs: int, most: int) -> range:
    """The numbers of at most `most` of the pairs, evenly spread over them; of all pairs where there are no more."""
    return range(0, pairs, -(-pairs // most))


def guiding_links(config: RunConfig, corpus: Corpus) -> list[list[Link]] | None:
    """The links of the pairs that the alignment head learns from, out of a Pharaoh file with a line for every pair.

    Raises UserError when their numbers differ, or a link leads out of its pair.
    """
    if config.training.guided_alignment is None:
        return None
    path, pairs = expanded(config.training.guided_alignment), len(corpus.train)
    chosen = spread(pairs, config.alignment.training_pairs)
    links, lines = [], 0
    for number, found in enumerate(read_pharaoh(path)):
        lines += 1
        if number < pairs and number in chosen:
            row = corpus.train[number]
            words = [len(split_words(row[side])) for side in ("source", "target")]
            for source, target in found:
                if source >= words[0] or target >= words[1]:
                    where = f"{path}, line {lines}: {source}-{target}"
                    raise UserError(f"{where} leads out of a pair of {words[0]} and {words[1]} words; mend the line")
            links.append(found)
    if lines != pairs:
        raise UserError(f"{path} has {lines:,} lines, and there are {pairs:,} training pairs; they must match")
    return links


def alignment_layer(config: RunConfig) -> int | None:
    """The decoder layer whose cross-attention serves as alignment where there is no alignment head; None without."""
    if config.model.attention is None:
        return None
    layer = config.alignment.layer
    return max(0, config.model.decoder_layers - 2) if layer is None else layer


def check_unchanged(progress: Progress, corpus: Corpus, subwords: Subwords) -> None:
    """Refuse to go on with other data than the run began with. Raises UserError."""
    for name, before, now in (
        ("corpus", progress.corpus, corpus.sha256),
        ("subword model", progress.subwords, subwords.sha256),
    ):
        if before and before != now:
            raise UserError(f"the {name} has changed since the run began; put it back, or start anew with --overwrite")


def check_place(directory: Path, resume: bool) -> None:
    """Refuse what can be refused before the directory is locked. Raises UserError."""
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} is not a directory; set checkpoint to another place")
    if resume and not directory.exists():
        raise UserError(f"there is no run in {directory} to resume; run without --resume")


def check_directory(directory: Path, config: RunConfig, resume: bool, overwrite: bool) -> State | None:
    """The state to go on from, or None when the run is to begin; clears what killed writes left. Raises UserError."""
    for name in OWN_FILES:
        remove_scratch(directory / name)
    if not resume:
        if any(path.name != LOCK for path in directory.iterdir()):
            if not overwrite:
                raise UserError(
                    f"{directory} is not empty; continue its run with --resume, or replace it with --overwrite"
                )
            if not _holds_a_run(directory):
                raise UserError(f"{directory} holds no run; --overwrite will not empty it")
        return None
    state = find_state(directory)
    kept = (state.place if state else directory) / CONFIG
    if not kept.exists():
        raise UserError(f"there is no run in {directory} to resume; run without --resume")
    remove_scratch(directory / "training/*")
    before, now = load_config(kept).model_dump(), config.model_dump()
    changed = [key for key in now if before[key] != now[key] and key != "checkpoint"]
    if changed:
        raise UserError(
            f"the run in {directory} has another configuration ({', '.join(changed)}); resume it with its own"
        )
    if state is None and (directory / METADATA).exists():
        raise UserError(f"{directory} is finished, without a state to go on from; replace it with --overwrite")
    if state is None:
        print(f"no state was saved in {directory} yet: training from the beginning", file=sys.stderr)
    return state


def _holds_a_run(directory: Path) -> bool:
    try:
        load_config(directory / CONFIG)
    except UserError:
        return False
    return True


def began_before_restart(directory: Path, overwrite: bool) -> bool:
    """Whether torchrun has started this process again, to go on with a run that it had begun here."""
    try:
        before, now = json.loads((directory / LAUNCH).read_text()), launch()
        return same_launch(before, now) and (before == now or not overwrite)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def begin_directory(directory: Path, config: RunConfig, subwords: Subwords) -> None:
    """Remove an earlier run, write the configuration and the subword model: from here on there is something to resume.
    What no run writes stays."""
    for path in (directory / name for name in OWN_FILES if name != CONFIG):  # killed here, it is still known for a run
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    write_text(directory / CONFIG, dump_config(config))
    if started := launch():
        write_text(directory / LAUNCH, json.dumps(started))
    with atomic_path(directory / SUBWORDS) as temporary:
        subwords.save(temporary)


def make_subwords(directory: Path, config: RunConfig, corpus: Corpus) -> Subwords:
    """The SentencePiece model of a directory, trained and written where there is none. For scripts without a run."""
    path = directory / SUBWORDS
    if not path.exists():
        with atomic_path(path) as temporary:
            train_subwords(config, corpus).save(temporary)
    return Subwords.load(path)


def train_subwords(config: RunConfig, corpus: Corpus) -> Subwords:
    """The run's SentencePiece model, trained on both sides of the training pairs. Raises UserError."""
    print("training the subword model ...", file=sys.stderr)
    settings = config.subwords
    sentences = (
        sentence
        for rows in corpus.train.select(spread(len(corpus.train), settings.training_pairs)).iter(batch_size=1000)
        for pair in zip(rows["source"], rows["target"], strict=True)
        for sentence in pair
    )
    return Subwords.train(
        sentences,
        settings.vocabulary_size,
        settings.model_type,
        settings.character_coverage,
        settings.normalization,
    )


def encode_splits(
    config: RunConfig, corpus: Corpus, subwords: Subwords, tell: Callable[[str], None]
) -> tuple[EncodedPairs, EncodedPairs]:
    """Train and dev as piece ids."""
    cache = cache_directory(config.data.cache)
    hashes = {name: counts["sha256"] for name, counts in corpus.report["splits"].items()}
    longest = config.model.max_length
    train = EncodedPairs(corpus.train, hashes["train"], subwords, longest, cache, config.subwords.sampling)
    dev = EncodedPairs(corpus.dev, hashes["dev"], subwords, longest, cache)
    for name, pairs in (("train", train), ("dev", dev)):
        if pairs.left_out:
            tell(f"{name}: {pairs.left_out:,} pairs longer than {longest} pieces are left out")
        if not len(pairs):
            raise UserError(f"no {name} pair is at most model.max_length={longest} pieces long; raise it")
    return train, dev
