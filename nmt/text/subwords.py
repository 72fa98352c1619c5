"""Subword pieces by SentencePiece (Kudo and Richardson 2018)."""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import numpy as np
import regex
import sentencepiece

from nmt.errors import UserError
from nmt.text.casing import (
    capitals,
    from_capitals,
    is_capitals,
    recased_beginning,
    truecased_beginning,
    truecased_corpus,
)
from nmt.text.copied import SYMBOL_NAME, copied_spans
from nmt.text.encoding import Encoding
from nmt.text.marks import with_final_marks
from nmt.text.names import KnownWords
from nmt.text.numerals import DAYS, ordinal_ending, ordinal_word
from nmt.text.quotations import doubled, is_quoted, quoted_spans, with_marks
from nmt.text.slots import NAMES, NUMBERS, SLOTS, Slot, fill, find_slots
from nmt.text.symbols import symbol_slots
from nmt.text.typography import plain_text, without
from nmt.text.usual_case import in_lower_case, rarely_capitalized, sentence_case, usual_case
from nmt.text.words import Span, normalize
from nmt.untrusted import LARGEST_SUBWORDS, LARGEST_VOCABULARY, read_small

PADDING, UNKNOWN, START, END = 0, 1, 2, 3
"""The ids of `<pad>`, `<unk>`, `<s>` and `</s>` in every vocabulary of this project."""
SPACE = "▁"
"""How SentencePiece writes a space."""
SAMPLED_FROM = 32
"""Subword sampling chooses among at most this many best segmentations of a word."""
LONGEST_SENTENCE = 2**24
"""Bytes. SentencePiece silently skips longer sentences in training; its default is 4,192."""
LONGEST_WORD = 16
"""Pieces of a single word, at most; only strings that are no words have as many."""
REMEMBERED_WORDS = 20_000
"""Words whose scores are kept, and whose segmentations subword sampling keeps, some 3 kB each."""
TRUECASED = "<truecased>"
"""Marks a vocabulary of truecased text, in which a word stands apart from an opening mark before it. No text has this
piece."""
SOURCE_ONLY = "<source-only>"
"""Stands before the pieces that occur in source sentences alone. No text has this piece."""
UNKNOWN_PENALTY = 10.0
"""Nats that SentencePiece subtracts from the lowest score for a character without a piece."""
FREQUENT = 20
"""Occurrences that make a letter or digit of truecased text a piece, whatever the coverage."""
_OPENING = regex.compile(r"[¿¡](?=\S)")
_ORDINAL = regex.compile(rf"([{NUMBERS}])(st|nd|rd|th)(?![\p{{L}}\p{{M}}])")
_POINT = regex.compile(rf"(?<=[{NAMES}])\.")
"""A point after a name; not written after one that has its own, such as `D.C.`"""
_SURPLUS = regex.compile(r"(?<=[¿¡]) |(?<=(?:\p{Lu}\.\p{Lu}|UU)\.+)\.")
"""What to remove: the network writes a space before a word that it has seen only without an opening mark, and more
points after `U.S.`"""


class Subwords:
    """A SentencePiece model that both languages share."""

    def __init__(self, model: bytes, known_words: KnownWords | None = None) -> None:
        """With `known_words`, and a model that has their pieces, names and numbers are encoded as placeholders."""
        self.model = model
        self._scored: dict[str, float] = {}
        self._segmented: dict[tuple[str, float], tuple[list[array], list[float]]] = {}
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
            self._pieces = self._processor.id_to_piece(list(range(min(len(self), LARGEST_VOCABULARY))))
        except Exception as error:  # a piece may be no UTF-8 either
            raise UserError(f"the SentencePiece model is damaged ({error}); use another copy of it") from error
        specials = self._pieces[:4]
        if len(self) > LARGEST_VOCABULARY:
            raise UserError(f"the SentencePiece model has {len(self):,} pieces, more than {LARGEST_VOCABULARY:,}")
        if specials != ["<pad>", "<unk>", "<s>", "</s>"]:
            raise UserError(f"the SentencePiece model begins with {specials}, not with <pad> <unk> <s> </s>: not ours")
        self.slot_ids = frozenset(number for number, piece in enumerate(self._pieces) if piece in SLOTS)
        """The ids of placeholders."""
        self.has_slots = len(self.slot_ids) == len(SLOTS)
        self.truecased = TRUECASED in self._pieces
        """Whether first words are encoded in their likelier casing."""
        self.known_words = known_words if self.has_slots else None
        self.target_size = self._pieces.index(SOURCE_ONLY) if SOURCE_ONLY in self._pieces else len(self)
        """How many pieces target sentences are made of; these come first."""

    @classmethod
    def load(
        cls, path: str | Path, known_words: str | Path | None = None, *mapped: Mapping[str, str] | None
    ) -> Subwords:
        """Read a model file, and the known words, one a line; `mapped` are `number_words`, `titles` and `readings` of
        `KnownWords`, in this order.

        Raises UserError when a file is missing or damaged.
        """
        try:
            words = None
            if known_words is not None:
                words = KnownWords(read_small(Path(known_words), LARGEST_SUBWORDS).decode().splitlines(), *mapped)
            return cls(read_small(Path(path), LARGEST_SUBWORDS), words)
        except OSError as error:
            raise UserError(f"cannot read {error.filename}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{known_words} is not UTF-8; use another copy of the checkpoint") from error

    @classmethod
    def train(
        cls,
        sentences: Iterable[str],
        vocabulary_size: int,
        model_type: str = "unigram",
        character_coverage: float = 0.9995,
        normalization: str = "nmt_nfkc",
        truecase: bool = False,
    ) -> Subwords:
        """Train a joint vocabulary with byte fallback, so that no input is ever `<unk>`.

        The size is an upper bound: a small corpus gets what it has pieces for. `normalization` is SentencePiece's rule,
        which the model applies to all text from then on. With `truecase`, first words are in their usual casing, here
        and from then on, if most sentences begin with a capital.
        """
        import io

        texts = [text for text in (plain_text(normalize(sentence)) for sentence in sentences) if text.strip()]
        if not texts:
            raise UserError("there is no text to learn subwords from: every sentence is empty; see to the data")
        if marked := truecase and (usual := truecased_corpus(texts)) is not None:
            texts = [_OPENING.sub(r"\g<0> ", text) for text in usual]
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=model,
                vocab_size=vocabulary_size,
                hard_vocab_limit=False,
                model_type=model_type,
                character_coverage=character_coverage,
                byte_fallback=True,
                normalization_rule_name=normalization,
                max_sentence_length=LONGEST_SENTENCE,
                pad_id=PADDING,
                unk_id=UNKNOWN,
                bos_id=START,
                eos_id=END,
                control_symbols=[TRUECASED] if marked else [],
                required_chars=_common_letters(texts) if marked else "",
                num_threads=16,  # the pieces depend on it, so it is the same on every machine
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            raise UserError(
                f"SentencePiece cannot make {vocabulary_size} pieces of this corpus ({str(error).splitlines()[-1]}); "
                "set subwords.vocabulary_size nearer to what it asks for"
            ) from error
        return cls(model.getvalue())

    def with_slots(self, known_words: KnownWords | None = None) -> Subwords:
        """The same model with pieces for placeholders after its own, and with `known_words`.

        With new pieces, targets may have all pieces.
        """
        proto = self.proto
        if not self.has_slots:
            for piece in proto.pieces[self.target_size : self.target_size + 1]:
                piece.piece = "<unused>"
            for character in NAMES + NUMBERS:
                proto.pieces.add(piece=character, score=0, type=proto.SentencePiece.USER_DEFINED)
        return Subwords(proto.SerializeToString(), known_words)

    def for_targets(self, texts: Iterable[str]) -> Subwords:
        """The same pieces in another order: those that none of these target sentences has come last.

        A network has no output for them.
        """
        seen: set[int] = set()
        texts = iter(texts)
        while some := list(islice(texts, 10_000)):
            seen.update(*self.encode_ids(some))
        proto = self.proto
        unseen = [
            number not in seen and piece.type == proto.SentencePiece.NORMAL for number, piece in enumerate(proto.pieces)
        ]
        first = [piece for piece, late in zip(proto.pieces, unseen, strict=True) if not late]
        last = [piece for piece, late in zip(proto.pieces, unseen, strict=True) if late]
        mark = proto.SentencePiece(piece=SOURCE_ONLY, score=0, type=proto.SentencePiece.CONTROL)
        del proto.pieces[:]
        proto.pieces.extend([*first, mark, *last])
        return Subwords(proto.SerializeToString(), self.known_words)

    @cached_property
    def target(self) -> Subwords:
        """The same vocabulary for target sentences, which are encoded without the pieces of sources alone."""
        if self.target_size == len(self):
            return self
        proto = self.proto
        for piece in proto.pieces[self.target_size + 1 :]:
            piece.type = proto.SentencePiece.UNUSED
        result = Subwords(proto.SerializeToString(), self.known_words)
        result.target = result
        return result

    def save(self, path: str | Path) -> None:
        """Write the model file."""
        Path(path).write_bytes(self.model)

    def __repr__(self) -> str:
        return f"Subwords({len(self):,} pieces)"

    def __len__(self) -> int:
        """The vocabulary size."""
        return self._processor.get_piece_size()

    @property
    def proto(self) -> Any:
        """A copy of the model as SentencePiece's own message, `ModelProto`."""
        from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]  # made at run time

        return ModelProto.FromString(self.model)

    @property
    def sha256(self) -> str:
        """The hash of the model, which tells vocabularies apart."""
        return hashlib.sha256(self.model).hexdigest()

    def encode(self, text: str, slots: Sequence[Slot] | None = None, apart: bool = False) -> Encoding:
        """Encode one sentence, each piece with its position in the text.

        In this order: unify typographic variants, leave out what is copied, bring a sentence in capitals to its usual
        casing, read symbols as words, replace names and numbers by placeholders, and put the first word in its usual
        casing. Given `slots`, positions in `plain_text(text)`, these alone become placeholders: no name is looked for,
        and no symbol is read as a word. With `apart`, what is translated by itself is set apart: quoted words become
        placeholders, and asides in brackets are left out as if they were copied.
        """
        text = _storable(normalize(text))
        known = self.known_words if slots is None else None
        readings = known.readings if known else {}
        plain, places = without(text, ())
        typed, read = plain, symbol_slots(plain, readings)
        numbers = known is not None and known.words.isdisjoint(plain.split())
        spelled = {place for slot in read for place in range(slot.start, slot.end)}
        copied = [
            (places[start], places[end - 1] + 1)
            for start, end in copied_spans(plain, numbers, apart)
            if start not in spelled
        ]
        if copied:
            before, (plain, places) = places, without(text, copied)
            slots = slots and _moved(slots, before, places)
        shouted = is_capitals(plain)
        is_name = known.is_unknown if known else lambda _: False
        kept_names = [match.span() for match in regex.finditer(SYMBOL_NAME, plain)] if shouted and known else []
        usual = from_capitals(plain, self.score, is_name, kept_names) if shouted else plain
        if known and not shouted:
            usual = usual_case(sentence_case(usual, known.words), known.words)
        if usual != typed:  # saves time
            read = symbol_slots(usual, readings)
        usual, origins = fill(usual, read) if read else (usual, None)
        usual = doubled(usual) if apart and known else usual
        quoted = quoted_spans(usual, known) if apart and known else set()
        slots = find_slots(usual, known, quoted) if known else slots or []
        kept = [(slot.start, slot.end) for slot in slots]
        lowered: Sequence[Span] = []
        if known and self.truecased and not shouted:
            lowered = rarely_capitalized(usual, known.words, kept, self.score)
            usual = in_lower_case(usual, lowered)
        if self.truecased:
            usual = truecased_beginning(usual, kept, self.score)
        spaces = [Slot(mark.end(), mark.end(), " ") for mark in _OPENING.finditer(usual)] if self.truecased else []
        filled, unfilled = fill(usual, [*slots, *spaces]) if slots or spaces else (usual, None)
        result = self._processor.encode(filled, return_type="offset_mapping")
        spans = result["offsets"]
        if unfilled:
            spans = _traced(spans, unfilled, len(usual))
        if origins:
            spans, kept, lowered = (_traced(one, origins, len(plain)) for one in (spans, kept, lowered))
        if len(places) <= len(text) or copied:  # saves time
            shown = [(place, place + 1) for place in places[:-1]]
            spans, kept, lowered = (_traced(one, shown, len(text)) for one in (spans, kept, lowered))
            places_read = _traced([(slot.start, slot.end) for slot in read], shown, len(text))
            read = [Slot(*span, slot.character) for span, slot in zip(places_read, read, strict=True)]
        held = {slot.character: span for slot, span in zip(reversed(slots), reversed(kept), strict=True)}
        quotations = {
            slot: text[slice(*held[slot])]
            for start, end, slot in slots
            if known and (start, end) in quoted and known.know_any(usual[start:end])  # or it is another language's
        }
        return Encoding(text, result["ids"], spans, shouted, copied, held, read, lowered, quotations)

    def encode_translation(self, text: str, source: Encoding) -> Encoding:
        """Encode a translation of `source`; text that has a placeholder there gets the same placeholder here."""
        plain = plain_text(_storable(normalize(text)))
        held = {plain_text(text): slot for slot, text in self._held(source).items()}
        whole = "|".join(map(regex.escape, sorted(held, key=len, reverse=True)))
        found = list(regex.finditer(rf"(?<!\w)(?:{whole})(?!\w)", plain)) if held else []
        return self.target.encode(text, [Slot(match.start(), match.end(), held[match.group()]) for match in found])

    def _held(self, source: Encoding) -> dict[str, str]:
        """What each placeholder of `source` becomes in its translation."""
        translated = self.known_words.translated if self.known_words else str
        days = {
            slot: DAYS[text.lower()] for slot, text in source.typed.items() if slot in NUMBERS and text.lower() in DAYS
        }
        fixed = {**days, **source.quotations}
        return {slot: fixed.get(slot) or translated(text) for slot, text in source.typed.items()}

    def score(self, form: str) -> float:
        """The log-probability of a word's pieces."""
        score = self._scored.get(form)
        if score is None:
            if len(self._scored) >= REMEMBERED_WORDS:
                self._scored.clear()
            score = self._scored[form] = sum(map(self._score, self._processor.encode(form)))
        return score

    def encode_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Piece ids alone, for many sentences."""
        return self._processor.encode([self._read(text) for text in texts], num_threads=1)

    def _read(self, text: str) -> str:
        # What SentencePiece reads of a sentence without placeholders.
        plain = plain_text(_storable(normalize(text)))
        if not self.truecased:
            return plain
        return _OPENING.sub(r"\g<0> ", truecased_beginning(plain, (), self.score))

    def word_pieces(self, words: Sequence[str]) -> list[list[int]]:
        """For each word the piece ids of its lower-cased form encoded on its own; never empty.

        The bare space that SentencePiece puts before a word whose first piece has none of its own is left out, so
        that `?` has the same pieces after a space as after a word.
        """
        result = []
        plain = [plain_text(_storable(normalize(word.lower()))) for word in words]
        for ids in self._processor.encode(plain, num_threads=1):
            if len(ids) > 1 and self._pieces[ids[0]] == SPACE:
                ids = ids[1:]
            result.append(ids[:LONGEST_WORD] or [UNKNOWN])
        return result

    def sample_ids(self, texts: Sequence[str], smoothing: float, seed: int) -> list[list[int]]:
        """Piece ids of a segmentation drawn for each sentence (Kudo 2018, section 3.3; unigram models only).

        No piece crosses a space, so each word is drawn apart: one of its `SAMPLED_FROM` best segmentations x,
        with a probability proportional to P(x) ** smoothing. The same seed draws the same on every machine,
        which SentencePiece's own sampling does not: its generator starts differently in every process.
        """
        random = np.random.default_rng(seed)
        drawn = []
        for text in self._processor.normalize([self._read(text) for text in texts]):
            words = text.split(SPACE)[1:]  # the text begins with a space, if it is not empty
            ids: list[int] = []
            for word, chance in zip(words, random.random(len(words)).tolist(), strict=True):
                segmentations, below = self._segmentations(word, smoothing)
                ids += segmentations[bisect_right(below, chance)]
            drawn.append(ids)
        return drawn

    def _segmentations(self, word: str, smoothing: float) -> tuple[list[array], list[float]]:
        """The best segmentations of a word and their cumulative probabilities, without the last, so that rounding
        cannot index past the end."""
        known = self._segmented.get((word, smoothing))
        if known is None:
            found = self._processor.nbest_encode(word, nbest_size=SAMPLED_FROM, return_type=int)
            scores = smoothing * np.array([sum(map(self._score, ids)) for ids in found])
            probabilities = np.exp(scores - scores.max())
            below = (probabilities / probabilities.sum()).cumsum()[:-1].tolist()
            if len(self._segmented) >= REMEMBERED_WORDS:
                self._segmented.clear()
            known = self._segmented[word, smoothing] = [array("H", ids) for ids in found], below
        return known

    def _score(self, number: int) -> float:
        # Bytes have a score of 0 in the model, as if they were certain.
        return self._rare if self._processor.is_byte(number) else self._processor.get_score(number)

    @cached_property
    def _rare(self) -> float:
        return min(map(self._processor.get_score, range(len(self)))) - UNKNOWN_PENALTY

    def decode(self, ids: Sequence[int]) -> str:
        """Piece ids as NFC-normalized text, first words as the vocabulary has them."""
        return _SURPLUS.sub("", normalize(self._processor.decode(list(ids))))

    def decode_with_spans(self, ids: Sequence[int], source: Encoding | None = None) -> Encoding:
        """Decode piece ids to an Encoding that keeps exactly these pieces.

        With a `source`, its text fills the placeholders, and the translation is in capitals if the source is.
        """
        ids = list(ids)
        result = self._processor.decode(ids, return_type="offset_mapping")
        text, spans = result["text"], result["offsets"]
        if normalize(text) != text:  # possible only for characters that were spelled out in bytes
            spans = [(len(normalize(text[:start])), len(normalize(text[:end]))) for start, end in spans]
        text = normalize(text)
        for place in reversed([match.start() for match in _SURPLUS.finditer(text)]):
            text = text[:place] + text[place + 1 :]
            spans = [(start - (start > place), end - (end > place)) for start, end in spans]
        filled: dict[str, Span] = {}
        verbatim: list[Span] = []
        if self.has_slots and not SLOTS.isdisjoint(text):
            held = self._held(source) if source else {}
            written = [held.get(character, "") if character in SLOTS else character for character in text]
            for place, slot in enumerate(text):
                if source and slot in held and is_quoted(source.text, source.slots[slot]):
                    written[place] = with_marks(written[place], text, place)
            for match in _POINT.finditer(text):
                if held.get(text[match.start() - 1], "").endswith("."):
                    written[match.start()] = ""
            for match in _ORDINAL.finditer(text):
                if (number := held.get(match[1], "")).isdecimal():
                    written[match.start(2) : match.end(2)] = ordinal_ending(number)
                elif number.replace("-", "").isalpha():
                    written[match.start() : match.end()] = [ordinal_word(number), "", ""]
            places = [0, *accumulate(map(len, written))]
            filled = {slot: (places[at], places[at + 1]) for at, slot in enumerate(text) if slot in held}
            verbatim = [span for slot, span in filled.items() if source and held[slot] == source.typed[slot]]
            text, spans = "".join(written), [(places[start], places[end]) for start, end in spans]
        in_capitals = source is not None and source.capitals
        if source is not None:
            read = without(source.text, source.copied)[0]
            if all(end < len(text) for _, end in filled.values()):  # which may end in a point
                ended = with_final_marks(read, text)
                if ended != text:
                    text, spans = ended, _ending_at(spans, len(text), len(ended))
            if not in_capitals and self.truecased:
                known = self.known_words.words if self.known_words else None
                text = recased_beginning(read, text, verbatim, known)
        if in_capitals:
            text = capitals(text)
        return Encoding(text, ids, spans, in_capitals, slots=filled)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The pieces' own spelling, `SPACE` for a space."""
        return [self._pieces[number] for number in ids]


def _common_letters(texts: Iterable[str]) -> str:
    """Digits, and letters that have two cases, that occur `FREQUENT` times: a capital that is rare as such would else
    be spelled in bytes."""
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update(unicodedata.normalize("NFKC", text))
    common = (character for character, count in seen.items() if count >= FREQUENT)
    return "".join(sorted(one for one in common if one.isdecimal() or one.lower() != one.upper()))


def _moved(slots: Sequence[Slot], before: Sequence[int], after: Sequence[int]) -> list[Slot]:
    """The slots of a text some of whose characters are left out: `before` and `after` are the places in the whole text
    of the characters that were there, and of those that are left."""
    left = {place: number for number, place in enumerate(after)}
    return [
        Slot(left[first], left[last] + 1, slot.character)
        for slot in slots
        if (first := before[slot.start]) in left and (last := before[slot.end - 1]) in left
    ]


def _ending_at(spans: Sequence[Span], before: int, length: int) -> list[Span]:
    """The spans of a text whose end was cut or lengthened from `before` to `length` characters: the last goes along."""
    last = max((number for number, (start, _) in enumerate(spans) if start < before), default=-1)
    ends = [length if number == last else min(end, length) for number, (_, end) in enumerate(spans)]
    return [(min(start, length), end) for (start, _), end in zip(spans, ends, strict=True)]


def _traced(spans: Iterable[Span], origins: Sequence[Span], length: int) -> list[Span]:
    """Spans of a text in the one of `length` that it was made of, where each of its characters has its span there."""
    ends = [*origins, (length, length)]
    return [(ends[start][0], ends[end - 1][1] if end > start else ends[start][0]) for start, end in spans]


def _storable(text: str) -> str:
    # A lone surrogate has no UTF-8 form and would stop the C++ library.
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text
