"""The model card of a finished checkpoint, its README.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nmt.checkpoint import ALIGNER, SUBWORDS, WEIGHTS, write_text
from nmt.config import RunConfig
from nmt.corpus import Corpus
from nmt.training.log import read_log

CARD = "README.md"
LICENCES = {"tatoeba": "CC BY 2.0 FR, attribution: tatoeba.org and its contributors"}
ASK = "set by its publisher; check it before you redistribute the checkpoint"


def write_card(directory: Path, config: RunConfig, corpus: Corpus, metadata: dict[str, Any]) -> None:
    """Write the card of a finished run from its metadata and its log. An existing card is kept."""
    if (directory / CARD).exists():
        return
    model, head = config.model, metadata.get("alignment_head")
    layers = f"{model.encoder_layers}+{model.decoder_layers} layers of width {model.width}"
    paths = [directory / name for name in (WEIGHTS, SUBWORDS, ALIGNER)]
    rows = {
        "corpus": f"{corpus.report['corpus']}, {len(corpus.train):,} training pairs; SHA-256 `{corpus.sha256}`",
        "licence of the corpus": LICENCES.get(config.data.corpus, ASK),
        "network": f"{model.type}, {layers}, {metadata['parameters']:,} parameters",
        "files": ", ".join(f"`{path.name}` {path.stat().st_size / 1e6:.1f} MB" for path in paths if path.is_file()),
        "recipe": "`config.yaml`, as `nmt-train config.yaml checkpoint=DIR` reads it",
        "seed": str(metadata["seed"]),
        "training": f"{metadata['minutes']} minutes on {metadata['threads']} threads in {metadata['precision']}: "
        f"{metadata['steps']:,} steps, {metadata['epochs']} whole passes"
        + (f"; alignment head {head['minutes']} minutes" if head else ""),
        "weights": f"{metadata['weights']}; dev loss {metadata['dev_loss']:.3f} nats a piece",
    }
    validations = [record for record in read_log(directory) if record.get("kind") == "validation"]
    if validations:
        last = validations[-1]
        rows["last validation"] = f"greedy, first dev pairs: BLEU {last['bleu']:.1f}, chrF {last['chrf']:.1f}"
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    write_text(
        directory / CARD,
        f"# {config.data.source} to {config.data.target}\n\nWritten by `nmt-train`. Versions and checksums are in "
        f"`metadata.json`.\n\n| | |\n| --- | --- |\n{table}\n\n```console\n"
        '$ nmt-translate --checkpoint DIR "..."\n$ nmt-evaluate --checkpoint DIR\n```\n',
    )
