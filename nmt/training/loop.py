"""The training loop, from top to bottom: corpus, subwords, batches, model, steps, validation, final weights."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from nmt.checkpoint import CONFIG, METADATA, SUBWORDS, WEIGHTS, save_arrays, write_checkpoint_metadata, write_text
from nmt.config import RunConfig, TrainingConfig, dump_config, load_config
from nmt.corpus import Corpus, load_corpus, references
from nmt.errors import UserError
from nmt.files import atomic_path, cache_directory
from nmt.models import Transformer, build_model, load_weights, own_weights
from nmt.batching import BatchSampler
from nmt.text.subwords import PADDING, Subwords
from nmt.training.log import RunLog
from nmt.training.objective import plain_cross_entropy, smoothed_cross_entropy
from nmt.training.pairs import EncodedPairs
from nmt.training.schedule import learning_rate
from nmt.training.state import Progress, average, keep_for_average, load_state, save_state
from nmt.training.validation import Scores, batch_loss, dev_loss, validate


class Interrupted(Exception):
    """Training was asked to stop (Ctrl-C, SIGTERM); everything so far is saved."""


def train(config: RunConfig, resume: bool = False, overwrite: bool = False) -> Path:
    """Train what `config` describes and leave a finished checkpoint in `config.checkpoint`.

    Raises UserError for impossible requests, Interrupted after a signal, with the state saved.
    """
    directory = Path(config.checkpoint)
    prepare_directory(directory, config, resume, overwrite)
    device = choose_device(config.training.device)
    torch.set_num_threads(config.training.threads or torch.get_num_threads())
    torch.manual_seed(config.training.seed)

    corpus = load_corpus(config.data)
    print(corpus.describe(), file=sys.stderr)
    subwords = make_subwords(directory, config, corpus)
    train_pairs, dev_pairs = encode_splits(config, corpus, subwords)
    dev_sources, dev_references = references(corpus.dev.select(range(min(len(corpus.dev), config.training.validation_pairs))))

    model = build_model(config.model, len(subwords)).to(device)
    optimizer = make_optimizer(model, config.training)
    progress = Progress()
    if resume:
        progress, words = load_state(directory, model, optimizer)
        print(words, file=sys.stderr)
    log = RunLog(directory, progress.step)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{parameters:,} parameters, {len(subwords):,} pieces, {len(train_pairs):,} pairs, {device}", file=sys.stderr)

    def validation() -> Scores:
        scores = validate(
            model, dev_pairs, dev_sources, dev_references, subwords, config.decoding, config.training.batch_tokens
        )
        progress.validations.append([scores.loss, progress.step])
        return scores

    try:
        with graceful_signals() as stop:
            run_steps(config, directory, model, optimizer, train_pairs, progress, log, validation, stop)
    finally:
        log.close()
    finish(config, directory, corpus, model, dev_pairs, progress)
    return directory


def run_steps(
    config: RunConfig,
    directory: Path,
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    pairs: EncodedPairs,
    progress: Progress,
    log: RunLog,
    validation,
    stop: list[int],
) -> None:
    """Steps until the budget is spent; `stop` receives a signal's number. Changes `progress` and the model."""
    settings = config.training
    device = next(model.parameters()).device
    sampler = BatchSampler(pairs.source_lengths, pairs.target_lengths, settings.batch_tokens, settings.seed)
    precision = autocast(settings, device)
    stream = batch_stream(sampler, progress)
    bar = tqdm(total=100.0, unit="%", disable=None, bar_format="{percentage:5.1f}%|{bar}|{elapsed}<{remaining}{postfix}")
    started = time.monotonic() - progress.seconds
    window_loss = window_tokens = 0.0
    window_start = time.monotonic()

    while not progress.finished:
        share = spent(settings, progress, len(sampler.batches(progress.epoch)) if settings.max_epochs else 1)
        if share >= 1:
            break
        model.train()
        rate = learning_rate(settings, progress.step + 1, share)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batches = [pairs.batch(rows, seed).to(device) for rows, seed in (next(stream) for _ in range(settings.accumulate))]
        tokens = sum(int((batch.labels != PADDING).sum()) for batch in batches)
        for batch in batches:
            with precision():
                loss = batch_loss(model, batch, settings.label_smoothing, smoothed_cross_entropy) / tokens
            loss.backward()
            window_loss += loss.item() * tokens
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm or float("inf"))
        if torch.isfinite(norm):
            optimizer.step()
        else:
            tqdm.write(f"step {progress.step + 1}: the gradient is not finite; step skipped", file=sys.stderr)
        optimizer.zero_grad(set_to_none=True)

        progress.step += 1
        progress.target_tokens += tokens
        progress.seconds = time.monotonic() - started
        window_tokens += tokens
        if progress.step % 20 == 0:
            seconds = time.monotonic() - window_start
            speed = window_tokens / seconds
            bar.set_postfix_str(f"step {progress.step}, loss {window_loss / window_tokens:.3f}, {speed:,.0f} tokens/s, rate {rate:.1e}")
            bar.update(100 * share - bar.n)
            log.write(
                "train",
                progress.step,
                epoch=progress.epoch,
                loss=round(window_loss / window_tokens, 5),
                learning_rate=rate,
                tokens_per_second=round(speed),
                seconds=round(progress.seconds, 2),
            )
            window_loss = window_tokens = 0.0
            window_start = time.monotonic()
        last = spent(settings, progress, len(sampler.batches(progress.epoch)) if settings.max_epochs else 1) >= 1
        if progress.step % settings.validate_every == 0 or last:
            scores = validation()
            progress.seconds = time.monotonic() - started
            report(scores, progress, log)
            keep_best(directory, config, model, progress)
            progress.finished = last or out_of_patience(settings, progress)
            save_state(directory, progress, model, optimizer)
            window_start = time.monotonic()
            window_loss = window_tokens = 0.0
        if stop:
            save_state(directory, progress, model, optimizer)
            raise Interrupted(f"stopped at step {progress.step}; go on with --resume")
    bar.close()


def batch_stream(sampler: BatchSampler, progress: Progress) -> Iterator[tuple]:
    """(rows, sampling seed) of one batch after the other, from where `progress` stands; moves it on."""
    while True:
        batches = sampler.batches(progress.epoch)
        while progress.batch < len(batches):
            rows = batches[progress.batch]
            seed = (sampler.seed * 1_000_003 + progress.epoch * 10_007 + progress.batch) % 2**31
            progress.batch += 1
            yield rows, seed
        progress.epoch, progress.batch = progress.epoch + 1, 0


def spent(settings: TrainingConfig, progress: Progress, batches: int) -> float:
    """The share of the budget that is spent: the largest over steps, epochs and minutes."""
    shares = [0.0]
    if settings.max_steps:
        shares.append(progress.step / settings.max_steps)
    if settings.max_epochs:
        shares.append((progress.epoch + progress.batch / batches) / settings.max_epochs)
    if settings.max_minutes:
        shares.append(progress.seconds / 60 / settings.max_minutes)
    return max(shares)


def out_of_patience(settings: TrainingConfig, progress: Progress) -> bool:
    """Whether the best dev loss lies `patience` validations back."""
    losses = [loss for loss, _ in progress.validations]
    return settings.patience is not None and len(losses) - 1 - losses.index(min(losses)) >= settings.patience


def averaged_steps(settings: TrainingConfig, progress: Progress) -> list[int]:
    """The steps whose weights the final average is made of, were training to end now."""
    if settings.average == "none":
        return [int(min(progress.validations)[1])]
    ranked = sorted(progress.validations) if settings.average == "best" else progress.validations[::-1]
    return [int(step) for _, step in ranked[: settings.average_count]]


def keep_best(directory: Path, config: RunConfig, model: Transformer, progress: Progress) -> None:
    """Keep these weights for the average, and as the checkpoint's own when no dev loss was lower."""
    keep_for_average(directory, progress.step, model, averaged_steps(config.training, progress))
    if progress.validations[-1] == min(progress.validations):
        save_arrays(directory / WEIGHTS, {name: tensor.numpy() for name, tensor in own_weights(model).items()})


def report(scores: Scores, progress: Progress, log: RunLog) -> None:
    """Write a validation to the log and to standard error."""
    log.write(
        "validation",
        progress.step,
        loss=round(scores.loss, 5),
        bleu=round(scores.bleu, 2),
        chrf=round(scores.chrf, 2),
        seconds=round(progress.seconds, 2),
    )
    tqdm.write(
        f"step {progress.step}, epoch {progress.epoch}, {progress.seconds / 60:.1f} minutes: "
        f"dev loss {scores.loss:.3f}, BLEU {scores.bleu:.1f}, chrF {scores.chrf:.1f}",
        file=sys.stderr,
    )
    for source, translation, reference in scores.examples:
        tqdm.write(f"    {source}\n    -> {translation}\n    == {reference}", file=sys.stderr)


def finish(
    config: RunConfig, directory: Path, corpus: Corpus, model: Transformer, dev_pairs: EncodedPairs, progress: Progress
) -> None:
    """Choose the averaged or the best weights by dev loss, and write the checkpoint's metadata."""
    steps = averaged_steps(config.training, progress)
    load_weights(model, average(directory, steps), directory)
    loss, chosen = dev_loss(model, dev_pairs, config.training.batch_tokens), f"mean of steps {sorted(steps)}"
    best_loss, best_step = min(progress.validations)
    if loss <= best_loss:
        save_arrays(directory / WEIGHTS, {name: tensor.numpy() for name, tensor in own_weights(model).items()})
    else:
        loss, chosen = best_loss, f"step {int(best_step)}"
    versions = {name: importlib.metadata.version(name) for name in ("torch", "sentencepiece", "datasets", "sacrebleu")}
    metadata = {
        "source": config.data.source,
        "target": config.data.target,
        "max_length": config.model.max_length,
        "decoding": config.decoding.model_dump(),
        "alignment_layer": alignment_layer(config),
        "weights": chosen,
        "dev_loss": round(loss, 4),
        "steps": progress.step,
        "epochs": progress.epoch,
        "target_pieces": progress.target_tokens,
        "minutes": round(progress.seconds / 60, 1),
        "threads": torch.get_num_threads(),
        "seed": config.training.seed,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "corpus_sha256": corpus.sha256,
        "versions": {"python": platform.python_version(), **versions},
    }
    write_checkpoint_metadata(directory, metadata)
    print(f"dev loss {loss:.3f} ({chosen}); checkpoint: {directory}", file=sys.stderr)


def alignment_layer(config: RunConfig) -> int:
    """The decoder layer whose cross-attention serves as alignment where there is no alignment head."""
    layer = config.alignment.layer
    return max(0, config.model.decoder_layers - 2) if layer is None else layer


def prepare_directory(directory: Path, config: RunConfig, resume: bool, overwrite: bool) -> None:
    """Make the run's directory, or check that the one which is there may be used."""
    if resume:
        if not (directory / CONFIG).exists():
            raise UserError(f"there is no run in {directory} to resume; run without --resume")
        saved = load_config(directory / CONFIG)
        if saved.model_copy(update={"checkpoint": config.checkpoint}) != config:
            changed = [
                key
                for key, value in config.model_dump().items()
                if saved.model_dump()[key] != value and key != "checkpoint"
            ]
            raise UserError(f"the run in {directory} has another configuration (section {', '.join(changed)}); it cannot go on with this one")
        return
    if directory.exists() and any(directory.iterdir()):
        if not overwrite:
            raise UserError(f"{directory} is not empty; continue its run with --resume, or replace it with --overwrite")
        if not (directory / CONFIG).exists():
            raise UserError(f"{directory} holds no run; --overwrite will not empty it")
        for path in directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_text(directory / CONFIG, dump_config(config))


def make_subwords(directory: Path, config: RunConfig, corpus: Corpus) -> Subwords:
    """The run's SentencePiece model: the one it has, or one trained on both sides of the training pairs."""
    path = directory / SUBWORDS
    if path.exists():
        return Subwords.load(path)
    print("training the subword model ...", file=sys.stderr)
    settings = config.subwords
    sentences = (
        sentence
        for rows in corpus.train.iter(batch_size=1000)
        for pair in zip(rows["source"], rows["target"], strict=True)
        for sentence in pair
    )
    subwords = Subwords.train(sentences, settings.vocabulary_size, settings.model_type, settings.character_coverage)
    with atomic_path(path) as temporary:
        subwords.save(temporary)
    return subwords


def encode_splits(config: RunConfig, corpus: Corpus, subwords: Subwords) -> tuple[EncodedPairs, EncodedPairs]:
    """Train and dev as piece ids."""
    cache = Path(config.data.cache).expanduser() if config.data.cache else cache_directory()
    hashes = {name: counts["sha256"] for name, counts in corpus.report["splits"].items()}
    longest = config.model.max_length
    train = EncodedPairs(corpus.train, hashes["train"], subwords, longest, cache, config.subwords.sampling)
    dev = EncodedPairs(corpus.dev, hashes["dev"], subwords, longest, cache)
    for name, pairs in (("train", train), ("dev", dev)):
        if pairs.left_out:
            print(f"{name}: {pairs.left_out:,} pairs longer than {longest} pieces are left out", file=sys.stderr)
        if not len(pairs):
            raise UserError(f"no {name} pair is at most model.max_length={longest} pieces long; raise it")
    return train, dev


def make_optimizer(model: Transformer, settings: TrainingConfig) -> torch.optim.Optimizer:
    """Adam or AdamW; weight decay for matrices alone."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), fused=True)


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` takes CUDA, then MPS, then the CPU. Raises UserError when it is not there."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available[name]:
        raise UserError(f"this machine has no {name} device; set training.device to auto")
    return torch.device(name)


def autocast(settings: TrainingConfig, device: torch.device):
    """A function that makes the context of mixed precision, or of none."""
    wanted = settings.precision == "bfloat16"
    if settings.precision == "auto":
        wanted = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if not wanted:
        return contextlib.nullcontext
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16)


@contextlib.contextmanager
def graceful_signals() -> Iterator[list[int]]:
    """Within the block, SIGINT and SIGTERM are noted in the list instead of stopping the process at once."""
    received: list[int] = []

    def note(number: int, _frame: object) -> None:
        if received:  # asked twice: do not wait for the step to end
            raise KeyboardInterrupt
        received.append(number)

    kept = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
