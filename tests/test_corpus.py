"""Local files, filters and the cache; the Hub and Tatoeba have files of their own."""

import gzip
import hashlib
import itertools
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from commands import Fork
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config import DataConfig
from nmt.corpus import Corpus, SentencePair, load_corpus, references
from nmt.corpus.local import local
from nmt.corpus.splits import hold_out, normalize
from nmt.errors import UserError
from nmt.files import CacheError
from nmt.lines import read_lines

MULTI30K = Path(__file__).parents[2] / "shared" / "multi30k"

PAIRS = [
    ("A cat.", "Un gato."),
    ("Two dogs!", "¡Dos perros!"),
    ("We see it.", "Lo vemos."),
    ("\u2028 odd\x85", "raro\x0b"),
]


def write(path: Path, text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def tsv(pairs) -> str:
    return "".join(f"{source}\t{target}\n" for source, target in pairs)


def load(cache: Path, **keys) -> Corpus:
    return load_corpus(DataConfig(corpus=keys.pop("corpus", "files"), cache=str(cache / "cache"), **keys))


def rows(dataset) -> list[tuple[str, str]]:
    return list(zip(dataset["source"], dataset["target"], strict=True))


def read(**keys) -> list[tuple[str, str]]:
    """The pairs of data.train as the reader gives them, before filters and cache."""
    return [(pair.source, pair.target) for pair in local(DataConfig(corpus="files", **keys)).read()["train"]]


@pytest.fixture
def dev(tmp_path) -> str:
    return write(tmp_path / "dev.tsv", "One dev pair\tUn par\n")


# --- the forms of local files ---------------------------------------------------------------------------------

sentences = st.text(st.characters(exclude_characters="\n\r\t\0\ufeff", exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(sentences, sentences), min_size=1, max_size=8), packed=st.booleans())
def test_every_form_gives_back_the_same_sentences(tmp_path_factory, pairs, packed):
    directory = tmp_path_factory.mktemp("forms")
    gz = ".gz" if packed else ""
    source = write(directory / f"a.en{gz}", "".join(f"{source}\n" for source, _ in pairs))
    target = write(directory / f"a.es{gz}", "".join(f"{target}\r\n" for _, target in pairs))
    table = write(directory / f"a.tsv{gz}", tsv(pairs))
    named = write(directory / f"b.tsv{gz}", "id\tSpanish\tEnglish\n" + "".join(f"7\t{t}\t{s}\n" for s, t in pairs))
    flat = write(directory / f"a.jsonl{gz}", "\n".join(json.dumps({"en": s, "es": t}) for s, t in pairs))
    nested = write(directory / f"b.jsonl{gz}", "\n".join(
        json.dumps({"id": 1, "translation": {"es": t, "en": s}}, ensure_ascii=False) for s, t in pairs))  # fmt: skip
    assert read(train=[source, target]) == pairs
    assert read(train=table) == pairs
    assert read(train=named, source_column="English", target_column="Spanish") == pairs
    assert read(train=named, source_column=2, target_column=1) == [("English", "Spanish"), *pairs]
    assert read(train=flat) == pairs
    assert read(train=nested) == pairs
    assert read(train=nested, source_column="translation.en", target_column="translation.es") == pairs


def test_loading_keeps_text_and_order(tmp_path, dev):
    corpus = load(tmp_path, train=write(tmp_path / "a.tsv", "\ufeff" + tsv(PAIRS)), dev=dev, test=dev)
    assert rows(corpus.train) == PAIRS
    assert rows(corpus.dev) == rows(corpus.test) == [("One dev pair", "Un par")]
    assert corpus.train.column_names == ["source", "target"]
    assert load(tmp_path, train=dev, dev=dev).test is None


def test_no_final_newline_blank_lines_and_jsonl_nulls(tmp_path):
    assert read(train=write(tmp_path / "a.tsv", "a\tb\n\nc\td")) == [("a", "b"), ("", ""), ("c", "d")]
    lines = '{"source": "a", "target": null}\n\n{"source": "b", "target": "c"}'
    assert read(train=write(tmp_path / "a.jsonl", lines)) == [("a", ""), ("b", "c")]


def test_a_tsv_may_name_its_languages(tmp_path):
    lines = "number\tes\ten\n1\thola\thello\n"
    assert read(train=write(tmp_path / "a.tsv", lines), source="en", target="es") == [("hello", "hola")]
    assert read(train=write(tmp_path / "b.tsv", "en\tfr\nhello\tsalut"), source="en", target="es") == [
        ("en", "fr"),
        ("hello", "salut"),
    ]
    by_number = {"source_column": 0, "target_column": 1}
    assert read(train=write(tmp_path / "c.tsv", "en\tes"), source="en", target="es", **by_number) == [("en", "es")]


def test_gzip_is_known_by_content_not_by_name(tmp_path):
    path = tmp_path / "packed.tsv"
    path.write_bytes(gzip.compress(b"a\tb\n"))
    assert read(train=str(path)) == [("a", "b")]


# --- bad input: one line that names the place and the mend ------------------------------------------------------

BAD = {
    "one column": ("t.tsv", "a\tb\nonly one\n", r"t\.tsv:2: 1 tab-separated column, .*every line"),
    "invalid UTF-8": ("t.tsv", b"a\tb\nc\td\n\xff\xfe\te\n", r"t\.tsv:3: not UTF-8 .*byte 1\b.*convert"),
    "binary": ("t.tsv", bytes(range(256)) * 20, r"t\.tsv:1: a NUL byte"),
    "half a gzip": ("t.tsv.gz", None, r"t\.tsv\.gz: damaged gzip after line \d+"),
    "empty": ("t.tsv", "", r"train is empty"),
    "blank lines only": ("t.tsv", "\n \t \n", r"2 empty side"),
    "endless line": ("t.tsv", b"x" * (17 * 2**20), r"t\.tsv:1: a line of over 16 MiB"),
    "no such format": ("t.csv", "a,b\n", r"tells no format: data\.train"),
    "not JSON": ("t.jsonl", '{"en": "a", "es": "b"}\n{"en": \n', r"t\.jsonl:2: not JSON"),
    "JSON that is deep": ("t.jsonl", "[" * 200_000, r"t\.jsonl:1: not JSON"),
    "no object": ("t.jsonl", '["a", "b"]\n', r"t\.jsonl:1: not a JSON object"),
    "other columns": ("t.jsonl", '{"translation": {"de": "a", "fr": "b"}, "id": 1}',
                      r"no column for the source language 'en' among translation\.de, translation\.fr, id"),
    "a record without": ("t.jsonl", '{"en": "a", "es": "b"}\n{"en": "a"}', r"t\.jsonl:2: no column 'es' here"),
    "not text": ("t.jsonl", '{"en": "a", "es": ["b"]}', r"t\.jsonl:1: column 'es' holds list"),
    "lone surrogate": ("t.jsonl", '{"en": "a", "es": "\\ud800"}', r"t\.jsonl:1: .*lone surrogate"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused(tmp_path, dev, case):
    name, content, message = BAD[case]
    path = tmp_path / name
    if content is None:
        path.write_bytes(gzip.compress(os.urandom(4000).hex().encode())[:2000])
    else:
        write(path, content)
    with pytest.raises(UserError, match=message) as caught:
        load(tmp_path, train=str(path), dev=dev)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").rglob("*.arrow")), "a refused corpus leaves nothing that looks like one"


hostile = st.lists(
    st.binary(max_size=8)
    | st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.sampled_from(
        [b"\t", b"\n", b"\r\n", b"\0", b"\xef\xbb\xbf", b'{"en":"a","es":', b'"b"}', b"\x1f\x8b", b"[" * 3000]
    ),
    max_size=12,
).map(b"".join)


@settings(max_examples=150, deadline=None)
@given(content=hostile, other=hostile, packed=st.booleans())
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, other, packed):
    directory = tmp_path_factory.mktemp("fuzz")
    content = gzip.compress(content) if packed else content
    for name in ("a.tsv", "a.jsonl", "a.en"):
        (directory / name).write_bytes(content)
    (directory / "a.es").write_bytes(other)
    for train in (
        str(directory / "a.tsv"),
        str(directory / "a.jsonl"),
        [str(directory / "a.en"), str(directory / "a.es")],
    ):
        try:
            for sentence in itertools.chain.from_iterable(read(train=train)):
                assert "\0" not in sentence or train == str(directory / "a.jsonl")
                sentence.encode()  # Unicode, fit for Arrow
        except UserError as refusal:
            assert len(str(refusal).splitlines()) == 1


def test_configurations_that_cannot_be_meant_are_refused(tmp_path, dev):
    with pytest.raises(UserError, match=r"absent\.tsv: no such file: set data\.train"):
        load(tmp_path, train=str(tmp_path / "absent.tsv"))
    with pytest.raises(UserError, match=r"set data\.dev to"):
        load(tmp_path, train=dev, dev=[dev, str(tmp_path / "absent")])
    with pytest.raises(UserError, match="not a plain file"):
        load(tmp_path, train=str(tmp_path))
    with pytest.raises(UserError, match="names 1 files"):
        load(tmp_path, train=[dev])
    with pytest.raises(UserError, match=r"data\.train is missing"):
        load(tmp_path, dev=dev)
    with pytest.raises(UserError, match="no column 'nope' in the header One dev pair, Un par"):
        load(tmp_path, train=dev, dev=dev, source_column="nope")
    with pytest.raises(UserError, match="numbered from 0"):
        load(tmp_path, train=dev, dev=dev, source_column=-1)
    with pytest.raises(UserError, match="dev is empty"):
        load(tmp_path, train=dev, dev=write(tmp_path / "empty.tsv", ""))


@pytest.mark.parametrize(("sources", "targets"), [(3, 2), (0, 4), (5, 50)])
def test_misaligned_parallel_files_are_refused_with_both_counts(tmp_path, dev, sources, targets):
    source, target = write(tmp_path / "a.en", "s\n" * sources), write(tmp_path / "a.es.gz", "t\n" * targets)
    with pytest.raises(UserError, match=rf"a\.en has {sources} lines but .*a\.es\.gz has {targets}:"):
        load(tmp_path, train=[source, target], dev=dev)


def test_a_cache_that_cannot_be_written_is_told(tmp_path, dev):
    write(tmp_path / "cache", "a file where the directory should be")
    with pytest.raises(CacheError, match=r"/cache/corpora: Not a directory\): .* NMT_CACHE"):
        load(tmp_path, train=dev, dev=dev)


# --- filters ----------------------------------------------------------------------------------------------------


def test_filters_hold_for_train_only_and_are_counted(tmp_path):
    pairs = [("a b", "c d"), ("", "x y"), ("a", "b c"), ("a b c d e", "f g"), ("a b", "a b "), ("1 2 3 4 5 6 7", "8 9"),
             ("e f", "g h"), ("i j", "k l")]  # fmt: skip
    path = write(tmp_path / "a.tsv", tsv(pairs))
    keys = {"min_words": 2, "max_words": 6, "max_length_ratio": 2.0, "drop_identical": True}
    corpus = load(tmp_path, train=path, dev=path, **keys)
    assert rows(corpus.train) == [pairs[0], pairs[6], pairs[7]]
    assert rows(corpus.dev) == [pair for pair in pairs if pair[0]]
    train = corpus.report["splits"]["train"]
    assert train["dropped"] == {
        "empty side": 1, "too short": 1, "length ratio": 1, "identical sides": 1, "too long": 1}  # fmt: skip
    assert (train["read"], train["kept"]) == (8, 3)
    assert "train: 3 of 8 pairs (left out: 1 empty side, 1 too short" in corpus.describe()
    assert "dev: 7 of 8 pairs (left out: 1 empty side)" in corpus.describe()
    assert rows(load(tmp_path, train=path, dev=path, max_pairs=2, **keys).train) == [pairs[0], pairs[6]]


# --- splits -----------------------------------------------------------------------------------------------------


def test_a_dev_set_is_held_out_without_leaks(tmp_path):
    pairs = [(f"Sentence {n % 900}", f"Frase {n % 700}!") for n in range(1500)]
    path = write(tmp_path / "a.tsv", tsv(pairs))
    corpus = load(tmp_path, train=path)
    assert len(corpus.dev) == 15
    for side in ("source", "target"):
        assert not {normalize(s) for s in corpus.train[side]} & {normalize(s) for s in corpus.dev[side]}
    assert set(rows(corpus.train)) | set(rows(corpus.dev)) <= set(pairs)
    counts = corpus.report["splits"]["train"]
    assert counts["dropped"]["held out"] == 1500 - len(corpus.train) >= 15
    # The sample is that of the sentences, not of their order.
    shuffled = [SentencePair(*pair) for pair in dict.fromkeys(reversed(pairs))]
    once = {pair.source for pair in hold_out([SentencePair(*pair) for pair in dict.fromkeys(pairs)])[0]}
    assert {pair.source for pair in hold_out(shuffled)[0]} == once


def test_a_large_corpus_gives_a_thousand_and_a_single_pair_is_too_few(tmp_path):
    dev, in_dev = hold_out(SentencePair(f"s{n}", f"t{n}") for n in range(120_000))
    assert len(dev) == len({pair.source for pair in dev}) == 1000
    assert all(in_dev(pair) for pair in dev)
    with pytest.raises(UserError, match="no train pair .*1 held out"):
        load(tmp_path, train=write(tmp_path / "one.tsv", "a\tb\n"))


def test_extra_pairs_join_train_in_copies_but_for_those_of_dev_and_test(tmp_path, dev):
    path, test = write(tmp_path / "a.tsv", tsv(PAIRS)), write(tmp_path / "test.tsv", "Bye now.\tHasta luego.\n")
    extra = [("Hi.", "Hola."), ("Bye, now!", "Chao."), ("So long.", "¡Hasta luego!"), ("Hey.", "Buenas.")]
    phrases = write(tmp_path / "phrases.tsv", "en\tes\n" + tsv(extra))
    plain = load(tmp_path, train=path, dev=dev, test=test)
    more = load(tmp_path, train=path, dev=dev, test=test, extra={phrases: 3})
    assert rows(more.train) == [*rows(plain.train), *[extra[0]] * 3, *[extra[3]] * 3]
    assert more.report["splits"]["train"]["dropped"]["held out"] == 6
    assert (rows(more.dev), rows(more.test)) == (rows(plain.dev), rows(plain.test))
    assert more.sha256 != plain.sha256 and "phrases.tsv 3 times" in more.describe()
    other = load(tmp_path, train=path, dev=dev, test=test, extra={phrases: 2})
    assert len(other.train) == len(more.train) - 2 and other.sha256 != more.sha256
    reverse = load(tmp_path, train=path, dev=dev, source="es", target="en", extra={phrases: 1})
    assert ("Hola.", "Hi.") in rows(reverse.train)
    few = load(tmp_path, train=path, max_pairs=1, extra={phrases: 1})  # dev taken from train
    assert rows(few.train)[1:] == [pair for pair in extra if pair not in rows(few.dev)] and len(few.dev) == 1
    with pytest.raises(UserError, match=r"absent.tsv: no such file: set data.extra"):
        load(tmp_path, train=path, dev=dev, extra={"absent.tsv": 1})


# --- the cache --------------------------------------------------------------------------------------------------


def test_a_second_load_reads_no_text_and_a_changed_file_is_read_anew(tmp_path, dev, monkeypatch):
    path = write(tmp_path / "a.tsv", tsv(PAIRS))
    first = load(tmp_path, train=path, dev=dev)
    assert first.train.cache_files and Path(first.train.cache_files[0]["filename"]).is_relative_to(tmp_path / "cache")
    with monkeypatch.context() as patched:
        patched.setattr("nmt.corpus.local.read_lines", lambda path: pytest.fail("read again"))
        moved = str(tmp_path / "moved.tsv")
        os.rename(path, moved)
        again = load(tmp_path, train=moved, dev=dev)
    assert (rows(again.train), again.sha256) == (rows(first.train), first.sha256)
    assert "moved.tsv" in again.describe()
    changed = load(tmp_path, train=write(tmp_path / "a.tsv", tsv(PAIRS[:2])), dev=dev)
    assert rows(changed.train) == PAIRS[:2] and changed.sha256 != first.sha256


def test_damaged_cache_entries_are_built_again(tmp_path, dev):
    path = write(tmp_path / "a.tsv", tsv(PAIRS))

    def entry() -> Path:
        return Path(load(tmp_path, train=path, dev=dev).train.cache_files[0]["filename"])

    for damage in (
        lambda arrow: arrow.unlink(),
        lambda arrow: arrow.write_bytes(arrow.read_bytes()[: arrow.stat().st_size // 2]),
        lambda arrow: arrow.write_bytes(b""),
        lambda arrow: (arrow.parent / "report.json").write_text('{"splits": '),
        lambda arrow: (arrow.parent / "report.json").write_text("[]"),
    ):
        damage(entry())
        assert rows(load(tmp_path, train=path, dev=dev).train) == PAIRS


def test_processes_that_load_at_once_agree(tmp_path):
    path = write(tmp_path / "a.tsv", tsv((f"s {n}", f"t {n}") for n in range(3000)))

    def work() -> None:
        corpus = load_corpus(DataConfig(corpus="files", train=path, cache=str(tmp_path / "cache")))
        assert (len(corpus.train), len(corpus.dev)) == (2970, 30)

    runs = [Fork(work) for _ in range(2)]
    assert [run.wait() for run in runs] == [(0, "")] * 2
    assert not [path for path in (tmp_path / "cache" / "corpora").iterdir() if path.name.startswith(".")]


def test_parallel_files_are_streamed(tmp_path, dev):
    """60 MB of text go into Arrow and are read back at random within 24 MB of new memory (heap)."""
    for side in ("en", "es"):
        with open(tmp_path / f"a.{side}", "w") as file:
            file.writelines(f"{side} {n} " + "x" * 990 + "\n" for n in range(30_000))
    code = textwrap.dedent(f"""
        import resource
        from nmt.config import DataConfig
        from nmt.corpus import load_corpus
        train = {[str(tmp_path / "a.en"), str(tmp_path / "a.es")]!r}
        small = load_corpus(DataConfig(corpus="files", train={dev!r}, dev={dev!r}, cache={str(tmp_path / "cache")!r}))
        used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (used + 24 * 2**20, -1))
        corpus = load_corpus(DataConfig(corpus="files", train=train, dev={dev!r}, cache={str(tmp_path / "cache")!r}))
        assert corpus.train[29_999]["target"].startswith("es 29999 "), corpus.train[29_999]
        print(len(corpus.train))
    """)
    # Arrow's own pool reserves a gigabyte at its start, within which the limit would see nothing.
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.stdout == "30000\n", run.stderr


# --- references, and a real corpus ------------------------------------------------------------------------------


def test_references_group_by_source_in_first_order(tmp_path):
    pairs = [("b", "1"), ("a", "2"), ("b", "3"), ("b", "1"), ("B", "4")]
    corpus = load(tmp_path, train=write(tmp_path / "a.tsv", tsv(pairs)), dev=str(tmp_path / "a.tsv"))
    assert references(corpus.dev) == (["b", "a", "B"], [["1", "3"], ["2"], ["4"]])


@pytest.mark.skipif(not MULTI30K.is_dir(), reason=f"{MULTI30K} is absent: Multi30k lies beside the repository")
def test_multi30k(tmp_path):
    files = {split: [str(MULTI30K / f"{name}.{language}.gz") for language in ("en", "de")]
             for split, name in (("train", "train"), ("dev", "val"), ("test", "test_2016_flickr"))}  # fmt: skip
    corpus = load(tmp_path, source="en", target="de", **files)
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (29_000, 1_014, 1_000)
    with gzip.open(files["test"][1], "rt", encoding="utf-8", newline="\n") as lines:
        assert corpus.test["target"][:] == [line.rstrip("\n") for line in lines]
    hashes = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for split in files.values() for path in split]
    assert corpus.sha256 == hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def test_lines_end_at_line_feeds_only(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("a\u2028b\x85c\x0cd\re\r\n\r\nf".encode())
    assert list(read_lines(path)) == ["a\u2028b\x85c\x0cd\re", "", "f"]


# --- text that looks like something else ------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "\r", "\n"])
def test_lines_that_end_in_carriage_returns_alone_are_told(tmp_path, dev, end):
    path = write(tmp_path / "cr.tsv", "\r".join(f"the cat {n}\tel gato {n}" for n in range(20)) + end)
    with pytest.raises(UserError, match=r"cr\.tsv: its lines end in carriage returns alone: .*tr"):
        load(tmp_path, train=path, dev=dev)


def test_words_that_differ_in_combining_marks_are_different_sentences(tmp_path):
    assert normalize("राम पानी पीता है।") != normalize("राम पानी पीती है।")
    vowels = ["ता", "ती", "ते", "तु"]
    pairs = [(f"राम {n} पी{vowels[n % 4]} है", f"sentence {n}") for n in range(1000)]
    corpus = load(tmp_path, train=write(tmp_path / "hi.tsv", tsv(pairs)))
    assert (len(corpus.train), len(corpus.dev)) == (990, 10)
