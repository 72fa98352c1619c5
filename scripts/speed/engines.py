"""The parity claim: both engines on the whole Tatoeba test split, translation by translation."""

from __future__ import annotations

import numpy as np

from nmt.evaluation import score
from nmt.translator import Translator
from scripts.report import THREADS
from scripts.speed.claim import Claim, Told
from scripts.speed.decoding import BEAM, SHIPPED, float32_checkpoint, tatoeba_test


def measure() -> dict:
    """Differences of every sentence, and BLEU of each engine."""
    sources, references = tatoeba_test()
    torchs = Translator.load(SHIPPED, "torch", THREADS)
    options = torchs.search_options(beam=BEAM)
    encodings = [torchs.subwords.encode(source, ()) for source in sources]
    ids = [encoding.ids for encoding in encodings]
    expected = [found[0] for found in torchs.torch_engine.translate(ids, options)]
    exact = Translator.load(float32_checkpoint(), "ctranslate2", THREADS)._ctranslate2
    found = [hypotheses[0] for hypotheses in exact.translate(ids, options, attention=True)]
    same = [ours.pieces == theirs.pieces for ours, theirs in zip(found, expected, strict=True)]
    scores = [abs(ours.score - theirs.score) for ours, theirs in zip(found, expected, strict=True)]
    layer, shown = torchs.checkpoint.metadata.alignment_layer, torchs.checkpoint.shown_heads
    maps = torchs.torch_engine.attention(ids, [one.pieces for one in found])
    attention = [
        float(np.abs(one.attention - whole.cross[layer, shown, : len(one.pieces)].mean(axis=0)).max(initial=0))
        for one, whole in zip(found, maps, strict=True)
    ]
    fast = Translator.load(SHIPPED, "ctranslate2", THREADS)._ctranslate2.translate(ids, options)
    bleu = {
        name: score(
            [
                torchs.subwords.decode_with_spans(one.pieces, source).text
                for one, source in zip(hypotheses, encodings, strict=True)
            ],
            references,
        ).bleu
        for name, hypotheses in (("torch", expected), ("float32", found), ("int8", [one[0] for one in fast]))
    }
    return {"same": same, "scores": scores, "attention": attention, "bleu": bleu}


def tell(replies: dict) -> Told:
    """Shares, largest differences, BLEU."""
    same = np.array(replies["same"])
    scores, attention = np.array(replies["scores"])[same].max(), max(replies["attention"])
    loss = abs(replies["bleu"]["int8"] - replies["bleu"]["torch"])
    rows = [
        ["sentences", f"{len(same):,}"],
        ["same translation, float32", f"{same.mean():.2%}"],
        ["largest difference of scores, where the translation is the same", f"{scores:.1e}"],
        ["largest difference of an attention weight, at the same translation", f"{attention:.1e}"],
        *([f"BLEU, {name}", f"{value:.2f}"] for name, value in replies["bleu"].items()),
    ]
    summary = [
        ("engines: same translation, CTranslate2 float32 and PyTorch", f"{same.mean():.1%}"),
        ("engines: difference of scores", f"{scores:.3g} nats"),
        ("engines: difference of attention weights", f"{attention:.3g}"),
        ("engines: difference of BLEU, int8", f"{loss:.3g} BLEU"),
    ]
    return Told(["of both engines", ""], rows, summary)


CLAIM = Claim("engines", measure, tell)
