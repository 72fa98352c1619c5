"""The translator page against the package: the same pieces, the same translations, the same attention; and its speed.

  python -m scripts.page_parity tatoeba-en-es                      all parts
  python -m scripts.page_parity tatoeba-en-es tatoeba-es-en --part pieces translations int8
  python -m scripts.page_parity tatoeba-en-es --part speed          in Chromium, on one core; keep the machine quiet

pieces        The engine's subwords of all test sentences and of 10,000 fuzzed lines are SentencePiece's.
translations  Float32 weights give the text of `--engine torch` for every test sentence at beam 3, its score within
              1e-3, every attention weight within 1e-4.
int8          BLEU of the test split with int8 weights, and with `--engine torch`.
speed         Median milliseconds of a test sentence, greedy and at beam 3, as the page translates it, with attention;
              milliseconds from opening to the first translation, and from a change to its drawing.

A part that finds a difference prints it, and the command ends with 1. Needs Node, for `speed` Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nmt.corpus import load_corpus, references
from nmt.evaluation import score
from nmt.page.bundle import model_data, translator_page
from nmt.translation import Translation
from nmt.translator import Translator

DRIVER = Path(__file__).with_name("page_engine.mjs")
WORDS = """
Mr. Mrs. Dr. Sra. St. J. K. I. F. Mt. Smith Brown Laura Michael Tom Zork Jackson White Ángela Mercedes Hablaréis Betty
Mark Rosa Marta Joy Will King Jr. O'Brien Jean-Paul Archie Nina Żółć is was the el la de on in a friend vive
aquí y , . ! “ ” María Tom not madrid NATO de von sarah sarah's mark iPhone my name new york Gates Green señor
Señora and said lives dijo Don libro 20 two dos treinta cinco thirty five un 21st 3rd 5th, A3rd 4ths 1st.
AT&T Q&A salt&pepper & / + = C++ C# .NET 120 km/h 3km/h 5/6 yes/no Sir/Madam, and/or y/o El/la señor/a alumnos/as tod@s
3.º 1.ª 1.er 21º el (la) alumno(a) word(s) <b> </b> <b>Hello</b> {name} %d ${x} 1.- A) - -¿Qué -5 *Bread*
Tom,25,Boston .5 notes-2.pdf C:\\Users\\tom /home/tom/file.txt ~/main.py example.com H₂O mc² TCP/IP it.Then
"cat" "Save" “gato” «Guardar» (404) ({x}) [x] (a) [a](b.c/d) &amp; ____ _no_ user_id C++11 M&Ms I+D Ph.D. U.S.
EE.UU. Ud. n.º 1½ ½ US$50 30º 25 ºC 1,000th 4to JOHN: LONDON w/o s/he s/n C/ red/green/blue m/s² a = b + c
Amazon Zoom Los Ángeles Real Coca-Cola (or more) (M) (que vive) | ... !!! Terms Of
u r ur thx q x xq tb lbs 5 tbsp
White House Supreme Court of Cold War Black Sea Red Cross Great Casa Blanca Banco Central del Mundo Civil
`pip` `a.b(c)` `x Baker Street calle Mayor
E=mc² <a href="x"> bbc.co.uk "good morning" "Zork "Tom and"
"""
"""Words of `named_lines`."""
ALPHABETS = [
    "abcdefghijklmnop ABC,.!?'’\"",
    "áéíóúñ¿¡",
    "  \u00a0\u2003\u3000\t\u200b\u200d\ufeff▁",
    "שלום",
    "中文ｶﾞテ",
    "😀👩‍👧🇪🇸",
    "e\u0301n\u0303\u0323",
    "ﬁ①½Ⅷ㍿",
    "\ud83d",
    "<&\x00\x07\u202e",
]
CHUNK = 100
"""Sentences given to the engine at once: their attention is some 30 MB of JSON."""
BEAM = 3
CHANGES = ["forced=", "off=cross.2.1.zero", "off=encoder.0.0.mean", "moved=1.*.*.2", "beam=1", "kind=encoder"]
"""Hashes of changes to the first example; the forced piece is the second likeliest."""
DRAWN = """async (hash) => {
    const page = document.documentElement;
    const begun = performance.now();
    const translated = new Promise((done) => new MutationObserver((_, observer) => {
        if (page.dataset.busy) return;
        observer.disconnect();
        done();
    }).observe(page, { attributes: true, attributeFilter: ["data-busy"] }));
    location.hash = hash;
    const looked = () => new Promise((done) => addEventListener("hashchange", done, { once: true }));
    await (hash.startsWith("kind") ? looked() : translated);
    await new Promise(requestAnimationFrame);
    return performance.now() - begun;
}"""
TRANSLATED = """async ([line, beam]) => {
    const begun = performance.now();
    await nmt.translate(line, { beam, oneSentence: true });
    return performance.now() - begun;
}"""


def main(arguments: list[str]) -> int:
    """Compare each checkpoint's engines in the given parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS), dest="parts")
    options = parser.parse_args(arguments)
    differences = 0
    for name in options.checkpoints:
        translator = Translator.load(name, "torch", threads=1)
        sources, targets = references(load_corpus(translator.checkpoint.config.data).test)
        for part in options.parts:
            differences += PARTS[part](translator, sources, targets)
    return 1 if differences else 0


def run_engine(place: Path, model: dict, **request) -> list:
    """The engine under Node on a model and a request, as page_engine.mjs takes them; its files go to `place`."""
    (place / "model.json").write_text(json.dumps(model))
    (place / "requests.json").write_text(json.dumps(request))
    command = ["node", str(DRIVER), str(place / "model.json"), str(place / "requests.json")]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return json.loads(result.stdout)


def fuzzed_lines(count: int) -> list[str]:
    """Lines of every script and of what text should not hold."""
    generator = random.Random(0)
    # Node's Unicode may know characters that Python's does not.
    assigned = [chr(code) for code in range(32, 0x3000) if unicodedata.category(chr(code)) != "Cn"]
    return [
        "".join(
            generator.choice(generator.choice(ALPHABETS)) if i % 3 else generator.choice(assigned)
            for i in range(generator.randint(0, 50))
        )
        for _ in range(count)
    ]


def named_lines(count: int) -> list[str]:
    """Lines of names, titles, initials, ordinals and common words in any order."""
    generator = random.Random(0)
    return [" ".join(generator.choices(WORDS.split(), k=generator.randint(2, 9))) for _ in range(count)]


def pieces(translator: Translator, sources: list[str], _) -> int:
    """How many lines the engine cuts into other pieces."""
    lines = [*sources, *fuzzed_lines(10_000), *named_lines(2_000)]
    with tempfile.TemporaryDirectory() as place:
        found = run_engine(Path(place), model_data(translator.checkpoint.directory), task="encode", lines=lines)
    unlike = [
        line
        for line, one in zip(lines, found, strict=True)
        if one["ids"] != translator.subwords.encode(line, apart=True).ids
    ]
    report(translator, f"pieces equal on {len(lines) - len(unlike):,} of {len(lines):,} lines", unlike)
    return len(unlike)


def translations(translator: Translator, sources: list[str], _) -> int:
    """How many test sentences the engine translates otherwise than PyTorch."""
    unlike, worst_score, worst_weight = [], 0.0, 0.0
    for line, ours, theirs in pairs(translator, sources):
        off_score = abs(ours["score"] - theirs.score)
        same = ours["text"] == theirs.text and off_score <= 1e-3
        if same and theirs.heads:
            off = max(np.abs(np.array(ours["heads"][kind]) - w.ravel()).max() for kind, w in theirs.heads.kinds.items())
            worst_score, worst_weight = max(worst_score, off_score), max(worst_weight, float(off))
            same = off <= 1e-4
        if not same:
            unlike.append(f"{line!r}: {ours['text']!r} {ours['score']:.4f}, PyTorch {theirs.text!r} {theirs.score:.4f}")
    report(
        translator,
        f"float32 equal to PyTorch on {len(sources) - len(unlike):,} of {len(sources):,} sentences at beam {BEAM}; "
        f"scores within {worst_score:.1e}, weights within {worst_weight:.1e}",
        unlike,
    )
    return len(unlike)


def pairs(translator: Translator, sources: list[str]) -> Iterator[tuple[str, dict, Translation]]:
    """Each sentence with the engine's translation and PyTorch's."""
    model = model_data(translator.checkpoint.directory, "float32")
    with tempfile.TemporaryDirectory() as place:
        for first in range(0, len(sources), CHUNK):
            lines = sources[first : first + CHUNK]
            found = run_engine(Path(place), model, task="translate", lines=lines, beam=BEAM)
            expected = translator.translate(lines, beam=BEAM, heads=True, one_sentence=True)
            yield from zip(lines, found, expected, strict=True)


def int8(translator: Translator, sources: list[str], targets: list[list[str]]) -> int:
    """1 if int8 weights cost more than 0.3 BLEU."""
    with tempfile.TemporaryDirectory() as place:
        model = model_data(translator.checkpoint.directory)
        found = run_engine(Path(place), model, task="texts", lines=sources, beam=BEAM, oneSentence=True)
    expected = translator.translate(sources, beam=BEAM, one_sentence=True)
    values = [
        score(texts, targets, translator.target).bleu
        for texts in ([one["text"] for one in found], [one.text for one in expected])
    ]
    same = sum(one["text"] == other.text for one, other in zip(found, expected, strict=True))
    report(
        translator,
        f"BLEU {values[0]:.2f} with int8 weights, {values[1]:.2f} with PyTorch; {same:,} of {len(sources):,} equal",
        [],
    )
    return int(values[0] < values[1] - 0.3)


def speed(translator: Translator, sources: list[str], _) -> int:
    """Print the page's times; they are measured on one core."""
    from playwright.sync_api import sync_playwright

    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # Chromium's too, whose threads inherit it
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        path = Path(place) / "translator.html"
        path.write_text(translator_page([translator.checkpoint.directory]), encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        opening = []
        for _ in range(5):
            page.goto("about:blank")
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-ready]", state="attached")
            opening.append(page.evaluate("performance.getEntriesByName('ready')[0].startTime"))
        times = [median(opening, "opening to the first translation", "1500")]
        for beam, bar in ((1, "50"), (BEAM, "150")):
            each = [page.evaluate(TRANSLATED, [line, beam]) for line in sources]
            times.append(median(each, f"a test sentence, {'greedy' if beam == 1 else f'beam {beam}'}", bar))
        for change in CHANGES:
            each = []
            for _ in range(5):
                page.goto("about:blank")
                page.goto(path.as_uri())
                page.wait_for_selector("html[data-ready]", state="attached")
                forced = page.locator("#stepper .candidate").first.inner_text() if change == "forced=" else ""
                each.append(page.evaluate(DRAWN, change + forced))
                if trouble := page.inner_text("#trouble"):
                    raise RuntimeError(f"{change}{forced}: {trouble}")
            times.append(median(each, f"redrawn after {change}", "150"))
        browser.close()
    for text in times:
        report(translator, text, [])
    return 0


def median(milliseconds: list[float], what: str, bar: str) -> str:
    return f"{what}: median {statistics.median(milliseconds):.0f} ms of {len(milliseconds)} (bar {bar})"


def report(translator: Translator, text: str, unlike: list[str]) -> None:
    print(f"{translator.checkpoint.directory.name}: {text}", flush=True)
    for line in unlike[:20]:
        print(f"  {line!r}")


PARTS = {"pieces": pieces, "translations": translations, "int8": int8, "speed": speed}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
