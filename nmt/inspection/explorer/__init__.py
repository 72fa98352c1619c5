"""The explorer: one self-contained HTML file that shows every attention head of a translation, offline."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from nmt.confidence import LOW_WORD, doubtful, in_words
from nmt.errors import UserError
from nmt.inspection.colours import colour_table
from nmt.inspection.labels import piece_labels, visible
from nmt.translation import AttentionMaps, Translation

EXPLORER = Path(__file__).parent
STYLES = (EXPLORER / "theme.css", EXPLORER / "style.css")

LEVELS = 255
"""Weights are stored as multiples of 1/255: exact to 1/510."""

_IMPORT = re.compile(r'^import \{([^}]*)\} from "([./\w]*?(\w+)\.mjs)";', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:const|(?:async )?function|class) (\w+)", re.MULTILINE)


def explorer_page(translations: Sequence[Translation], compact: bool = False) -> str:
    """The page as text: style, script and data are inside, and nothing else is ever loaded.

    Translations with `heads` can be explored head by head, those without show their alignment alone. What sentences
    hold is data: it is escaped here, and the page's script only ever sets it as text. A content security policy
    allows this page's own style and script by their hashes, and no request at all.

    Args:
        translations: the sentences, each with its n-best list where there is one.
        compact: leave out headings and notes, for a small frame in a notebook.

    Raises:
        UserError: when there is nothing to show, or a translation has no alignment.
    """
    if not translations:
        raise UserError("nothing to explore: give at least one sentence")
    name = visible(translations[0].source)[:80]
    panel = filled(EXPLORER / "panel.html", heads="", tools="")
    return document(
        title=f"{name} – attention explorer",
        body=filled(
            EXPLORER / "template.html",
            panel=panel,
            body_class="compact" if compact else "full",
            low_word=f"{LOW_WORD:g}",
        ),
        data=page_data(translations),
        style="".join(map(filled, STYLES)),
        script=bundle(EXPLORER / "page.mjs"),
    )


def document(title: str, body: str, data: object, style: str, script: str, engine: bool = False) -> str:
    """A page of one file. Its content security policy allows its own style and script, by their hashes, and no request.

    Args:
        title: in the browser's tab.
        body: markup, from `<body>` on.
        data: what the script finds as JSON in `#data`.
        engine: whether the script also makes a worker and runs WebAssembly.
    """
    scripts, workers = (" 'wasm-unsafe-eval'", "worker-src blob:; ") if engine else ("", "")
    policy = (
        f"default-src 'none'; script-src '{content_hash(script)}'{scripts}; style-src '{content_hash(style)}'; "
        f"{workers}img-src data:; base-uri 'none'; form-action 'none'"
    )
    parts = {"policy": policy, "title": html.escape(title), "style": style, "body": body, "script": script}
    return filled(EXPLORER / "document.html", **parts, data=embedded_json(data))


def page_data(translations: Sequence[Translation]) -> dict:
    """What the page's script reads: the sentences with all weights in base64, and the two colour scales."""
    return {
        "sentences": [_sentence(translation) for translation in translations],
        "colours": colour_tables(),
    }


def colour_tables() -> dict[str, str]:
    """The colour scales of both themes, in base64."""
    return {theme: _base64(colour_table(dark=theme == "dark")) for theme in ("light", "dark")}


def embedded_json(data: object) -> str:
    """JSON that is safe between script tags: no markup, and nothing outside ASCII (U+2028, lone surrogates)."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def explorer_frame(translation: Translation) -> str:
    """The compact page as an `<iframe>` for a notebook; the sandbox lets it run its own script and nothing else."""
    page = html.escape(explorer_page([translation], compact=True), quote=True)
    # The sandbox hides the page's height from the notebook, so it is estimated: the matrix, and what is around it.
    rows = len(translation.heads.source_pieces if translation.heads else translation.target_words)
    height = min(900 + 40 * rows, 2400)
    return (
        f'<iframe title="attention explorer" sandbox="allow-scripts" srcdoc="{page}" width="100%" height="{height}" '
        'style="border: 0; border-radius: 8px; resize: vertical"></iframe>'
    )


def _sentence(translation: Translation) -> dict:
    return {
        "source": visible(translation.source),
        "hypotheses": [_hypothesis(hypothesis) for hypothesis in translation.hypotheses or [translation]],
    }


def _hypothesis(translation: Translation) -> dict:
    attention, alignment = translation.aligned()
    return {
        "text": visible(translation.text),
        "score": float(translation.score),
        "confidence": None if translation.confidence is None else in_words(translation.confidence),
        "doubtful": [word for word, doubt in enumerate(doubtful(translation)) if doubt],
        "sourceWords": [visible(word) for word in translation.source_words],
        "targetWords": [visible(word) for word in translation.target_words],
        "links": [[int(source), int(target)] for source, target in alignment],
        "attention": _tensor(attention, ("rows", "columns")),
        "attentionName": translation.attention_name,
        "heads": _heads(translation, translation.heads) if translation.heads else None,
    }


def _heads(translation: Translation, heads: AttentionMaps) -> dict:
    axes = ("layers", "heads", "rows", "columns")
    source = piece_labels(heads.source_pieces, translation.source, translation.source_word_of_piece)
    target = piece_labels(heads.target_pieces, translation.text, translation.target_word_of_piece)
    label = dict(zip([*heads.source_pieces, *heads.target_pieces], [*source, *target], strict=True))
    return {
        "sourcePieces": list(map(visible, source)),
        "targetPieces": list(map(visible, target)),
        "sourceWordsOfPiece": translation.source_word_of_piece,
        "targetWordsOfPiece": translation.target_word_of_piece,
        **{kind: _tensor(weights, axes) for kind, weights in heads.kinds.items()},
        "candidates": [
            [[visible(label.get(piece, piece)), max(round(float(score), 4), -1e9)] for piece, score in step]
            for step in heads.candidates
        ],
    }


def _tensor(weights: np.ndarray, axes: tuple[str, ...]) -> dict:
    quantised = np.round(np.clip(np.nan_to_num(weights), 0.0, 1.0) * LEVELS).astype(np.uint8)
    return {**dict(zip(axes, weights.shape, strict=True)), "weights": _base64(quantised)}


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def content_hash(content: str) -> str:
    """The hash by which a content security policy allows an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")


def filled(path: Path, **parts: str) -> str:
    """A file's text with each `{{part}}` in its place; what a part holds is left alone."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], path.read_text(encoding="utf-8"))


@cache
def bundle(entry: Path) -> str:
    """Bundle a module and those that it imports, directly or not, into one script.

    Each becomes a function that returns its exports, after those that it imports from; an import destructures that
    result.
    """
    modules: dict[Path, str] = {}

    def add(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        for _, imported, _ in _IMPORT.findall(text):
            if (other := (path.parent / imported).resolve()) not in modules:
                add(other)
        exports = ", ".join(_EXPORT.findall(text))
        body = _EXPORT.sub(lambda match: match[0].removeprefix("export "), _IMPORT.sub(r"const {\1} = \3_mjs;", text))
        modules[path] = f"const {path.stem}_mjs = (() => {{\n{body}return {{ {exports} }};\n}})();"

    add(entry.resolve())
    return "\n".join(modules.values())
