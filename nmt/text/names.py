"""Which words are names: those that the training corpus does not know, and what goes with them."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise

import regex

from nmt.text.copied import SYMBOL_NAME, copied_spans
from nmt.text.name_lists import (
    ACTS,
    ARTICLES,
    BRANDS,
    COMMON,
    COURTESY,
    GIVEN,
    IS,
    NO_ROADS,
    OPENERS,
    PEOPLE,
    PHRASES,
    RANKS,
    ROADS,
    ROLES,
    SMALL,
    SURNAMES,
    TITLES,
    UNCOUNTED,
    WAYS,
    WITHIN,
    is_listed,
)
from nmt.text.numerals import number_spans
from nmt.text.words import Span

RARE = 20
"""A capitalized word in fewer training pairs than this is unknown if it is a title, one of `PEOPLE`, seen once or
copied by half of them."""
COLLOCATION = 6
"""Training pairs in which two capitalized words must stand together to be known together: `Black Sea`."""
STEM, ENDING = 4, 6
"""Fewest letters that two forms of a word share at their beginning, and most letters of an ending."""
ALIKE = 1 / 1500
"""Share of the known lower-case words that must alternate between two endings for these to make forms of one word."""

_NAME = regex.compile(
    r"(?<![\w'-])(?:\p{Lu}'\p{Lu}|\p{Ll}{,2}\p{Lu})[\p{L}\p{M}]+(?:['-]\p{Lu}[\p{L}\p{M}]+)*(?!\w|-\d)"
)
_SYMBOL = regex.compile(r"[&+#/\\_=%{`\u00b2\u00b3\u00b9\u2070-\u2089]|\.\w")
"""What every name with a symbol contains, and most sentences do not."""
# Patterns that few sentences need are text, compiled when they are first used: compiling takes milliseconds.
_TITLED = (
    rf"(?<![\w.'-])(?P<title>\p{{Lu}}|{TITLES})\. (?:(?:\p{{Lu}}|{TITLES})\. ){{0,3}}"
    rf"(?P<name>(?!(?i:{OPENERS})(?!\w)){_NAME.pattern})"
)
"""A name after a title or initials: `Dr. Brown`, `J. K. Rowling`."""
_COUPLE = rf"(?<![\w'-])(?:{TITLES})\.(?= (?:and|y) (?:{TITLES})\. \p{{Lu}})"
"""The first title of `Mr. and Mrs. Brown`."""
_REST = rf"(?: (?:(?:{WITHIN}) ){{,3}}{_NAME.pattern})+"
_WORK = rf"(?<=\"){_NAME.pattern}{_REST}(?=[.,!?]?\")|(?<=(?<!\w)\p{{Ll}}+ )(?:{ARTICLES}){_REST}"
"""The title of a work, in quotation marks or with an article: `"Gone with the Wind"`, `of The Great Gatsby`."""
_ACTS = rf" (?:{ACTS})(?![\w-])"
_LIST = r" (?:please|por favor)\W*$| \p{Ll}+(?:,| (?:and|or|y|o|e|u)(?!\w))"
_ACTS_OR_IS = rf" (?:{ACTS}|{IS})(?![\w-])|'s \p{{Ll}}|,(?!{_LIST})| (?:and|y) \p{{Lu}}"
_SURNAMES, _RANKS = frozenset(SURNAMES.split("|")), frozenset(RANKS.split("|"))
_FIRST_NAME = regex.compile(r"(?<![\w'-])(\p{Lu}[\p{L}\p{M}]+) \Z")
LONGEST_NAME = 40
"""Characters before initials in which a first name is looked for."""
_WORD = regex.compile(r"(?<![\p{L}\p{M}\p{N}])[\p{L}\p{M}]+(?:'[\p{L}\p{M}]+)*")
WHOLE_WORD = regex.compile(r"(?<![\w'-])[\p{L}\p{M}]+(?:['-][\p{L}\p{M}]+)*(?!\w|-\d)")
_LOWER_WORD = regex.compile(r"(?<![\w'-])\p{Ll}+")
_LOWER = regex.compile(r"(?<![\w'-])\p{Ll}")
_STARTS = frozenset('.!?…:"¿¡')
"""After one of these a sentence or a quotation begins."""
_BRAND = regex.compile(
    rf"(?<![\w'-])(?:(?<=\p{{Ll}}[,;:]? )(?<!(?<!\w)(?:the|el|la|los|las) )(?:{BRANDS})|{PHRASES})(?![\w-])"
)
_STREET = (
    rf"(?<!(?<!\w)(?:[Tt]he|[Aa]n?) )(?!(?:{NO_ROADS})(?!\w)){_NAME.pattern}(?= (?:{ROADS})(?!\w))"
    rf"|(?<=(?<!\w)(?:{WAYS}) ){_NAME.pattern}"
)
"""The name of a street."""
_ROAD = regex.compile(rf" (?:{ROADS})|(?:{WAYS}) ")
_NAMED = regex.compile(r"(?<!\w)(?:(?:is|are|was|were|'s) (?:called|named)|(?:se|me) llam(?:an?|o|aba)) (?=\p{Lu})")
"""After which even a common word is a name: `is called Lucky`."""
_ARTICLE = regex.compile(r"(?i)(?<!\w)(?:an?|the|el|la|los|las|al|del|un|una) \Z")
_DETERMINER = regex.compile(
    r"(?i)(?:'s|(?<!\w)(?:the|my|your|his|her|our|their|el|la|los|las|al|del|un|una|mi|tu|su|casa)) \Z"
)
"""After which a given name is a word: `Casa Blanca`. `a` is none in Spanish: `Vi a Rosa`."""
_PLACE = regex.compile(r"(?i)(?<!\w)(?:in|on|at|en) \Z")
"""What days, months and places stand after: `on Monday Zork came`."""


class KnownWords:
    """Source words seen in training, but for rare names.

    Where the training pairs do not copy numbers, these are known words too, and get no placeholders.
    """

    def __init__(
        self,
        words: Iterable[str],
        number_words: Mapping[str, str] | None = None,
        titles: Mapping[str, str] | None = None,
        readings: Mapping[str, str] | None = None,
    ) -> None:
        """`number_words`, and `titles` with the name after them, get placeholders and become what they map to;
        `readings` are those of `nmt.text.symbols`."""
        self.words = frozenset(words)
        self.number_words, self.titles, self.readings = number_words or {}, titles or {}, readings or {}

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> KnownWords:
        """All words of the source sentences except `RARE` capitalized ones; numbers too, where most pairs do not copy
        them. A capitalized form is kept if the word is capitalized within a sentence; so are two words together, if
        they often are (`COLLOCATION`). No name with a point is known."""
        seen: Counter[str] = Counter()
        copied: Counter[str] = Counter()
        together: Counter[str] = Counter()
        words: set[str] = set()
        numbers: set[str] = set()
        within: set[str] = set()
        for source, target in pairs:
            for start, end in reversed(copied_spans(source)):
                source = source[:start] + " " + source[end:]
            names, counted = name_spans(source), number_spans(source)
            own = {source[start:end] for start, end in names + counted}
            seen.update(own)
            copied.update(own & {target[start:end] for start, end in name_spans(target) + number_spans(target)})
            numbers.update(source[start:end] for start, end in counted)
            words.update(match.group() for match in _WORD.finditer(source))
            inner = [span for span in names if not begins(source, span[0])]
            within.update(part for start, end in inner for part in source[start:end].split("-"))
            rows = (one + other for one, other in pairwise(inner) if _adjacent(source, one, other))
            together.update({source[start:end] for start, _, _, end in rows})
        rare = {
            text
            for text, count in seen.items()
            if count < RARE
            and (count == 1 or 2 * copied[text] >= count or text in TITLES.split("|") or is_listed(PEOPLE, text))
        }
        common = (name for name in seen.keys() - rare - numbers if "." not in name)
        known = (words - rare) | {part for name in common for part in name.split("-")}
        if 2 * sum(copied[number] for number in numbers) < sum(seen[number] for number in numbers):
            known |= numbers
        words = {one if one in within or one in numbers else one.lower() for one in known}
        return cls(words.union(two for two, count in together.items() if count >= COLLOCATION))

    def is_name(self, text: str, start: int, end: int) -> bool:
        """Whether the capitalized word at text[start:end] is a name.

        A word known as it is or in lower case is none. Any other is one, except at the beginning of a sentence, where
        every word is capitalized. There it must be a `COMMON` name; or one of `GIVEN` and the subject; or a word that
        is unknown without its accents and apostrophe too, and either stands before another name or is no form of a
        known word (`_is_form`).
        """
        name = text[start:end]
        if all(part in self.words or part.lower() in self.words for part in name.split("-")):
            return False
        if not begins(text, start) or is_listed(COMMON, name):
            return True
        if name in GIVEN and _is_subject(text, start, end):
            return True
        other = _NAME.match(text, end + 1) if text[end : end + 1] == " " else None
        stem = _stem(name)
        if stem in self._stems:  # typed without its accents or apostrophe
            return False
        return bool(other and self.is_name(text, *other.span())) or not self._is_form(stem)

    def know_any(self, text: str) -> bool:
        """Whether one of the words of a text is known."""
        return any(word in self.words or word.lower() in self.words for word in WHOLE_WORD.findall(text))

    def is_unknown(self, name: str) -> bool:
        """Whether a capitalized word is a name wherever it stands."""
        return name_spans(name) == [(0, len(name))] and self.is_name(name, 0, len(name))

    def names(self, text: str) -> set[Span]:
        """The capitalized words that are names.

        A name takes along its neighbours that are known in lower case alone, such as `Jobs` in `Steve Jobs`, and those
        before it that are known capitalized alone or are of `PEOPLE`, such as `María` in `María Zork`. Two words in a
        row that are known in lower case alone are a name too (`Buenos Aires`), so is a common word after a `COMMON`
        name (`Tim Cook`), and so is one of `GIVEN` that follows no determiner; at the beginning it must be the subject
        (`Bill called`). So is a name after an unknown title or initials, with these.

        The first word of a sentence, or of a quotation, is no such word unless it is a given name before another name
        (`Frank Zork`), nor are a word after an article (`el Presidente Zork`) and the words of a title, of which most
        are capitalized.
        """
        spans = name_spans(text)
        names = {span for span in spans if self.is_name(text, *span)}
        first = spans[0] if spans and begins(text, spans[0][0]) else None
        if first and text[slice(*first)] in GIVEN and _is_subject(text, *first):
            names.add(first)
        titled = self._titled(text)
        within = [span for span in spans if not begins(text, span[0])]
        if not within:
            return without_parts(names, titled)
        common = len(_LOWER.findall(text))
        unusual = [span for span in within if text[slice(*span)] not in self.words]
        few = len(unusual) <= common + 1
        if few:
            given = (span for span in within if text[slice(*span)] in GIVEN)
            names.update(span for span in given if not _follows(_DETERMINER, text, span[0]))
        if not common:
            if len(spans) == 2 and self._are_person(text, *spans):  # Mary Green
                names.update(spans)
            return without_parts(names, titled)
        for row in (spans, spans[::-1]):
            for one, other in pairwise(row):
                if one in names and _adjacent(text, one, other) and self._joins(text, other, before=other < one):
                    names.add(other)
        named = {match.end() for match in _NAMED.finditer(text)}
        names.update(span for span in within if span[0] in named and text[slice(*span)].lower() in self.words)
        for one, other in pairwise(spans):  # Professor Green
            if text[slice(*one)] in _RANKS and text[slice(*other)] in _SURNAMES and _adjacent(text, one, other):
                names.add(other)
        if few:
            rows = _rows(text, within)
            for one, other in pairwise(unusual):
                if _adjacent(text, one, other) and not _follows(_ARTICLE, text, rows[one]):
                    names.update((one, other))
            sentence = any(word not in SMALL for word in _LOWER_WORD.findall(text))
            for one, other in pairwise(spans if sentence else ()):
                if self._are_person(text, one, other):
                    names.update((one, other))
        return without_parts(names, titled)

    def _are_person(self, text: str, first: Span, last: Span) -> bool:
        """Whether the words are a given name and, beside it, a surname that is a word too."""
        given, word = text[slice(*first)], text[slice(*last)]
        person = is_listed(PEOPLE, given)
        common = word.lower() in self.words and not is_listed(COMMON, word)
        surname = person and common or (person or given in GIVEN) and word in _SURNAMES
        return surname and _adjacent(text, first, last)

    def _joins(self, text: str, span: Span, before: bool) -> bool:
        """Whether the word beside a name, or before it, belongs to it."""
        start, word = span[0], text[slice(*span)]
        if before and is_listed(PEOPLE, word):
            return True
        if begins(text, start):
            return before and word in GIVEN and not text.endswith("?")  # Will Zork come?
        if before and _follows(_ARTICLE, text, start):
            return False
        alone = before and word.lower() not in self.words and not _follows(_PLACE, text, start)
        return word not in self.words or alone

    def _titled(self, text: str) -> list[Span]:
        def unknown(word: str) -> bool:
            return word not in self.words and word.lower() not in self.words

        found = [match.span() for match in self._courtesy.finditer(text)] if self.titles else []
        found += [match.span() for match in _BRAND.finditer(text)]
        if _ROAD.search(text):
            found += [match.span() for match in regex.finditer(_STREET, text)]
        if '"' in text or any(f" {article} " in text for article in ARTICLES.split("|")):
            for match in regex.finditer(_WORK, text):
                article, *rest = match.group().split(" ")
                new = [word for word in rest if word[0].isupper() and word not in self.words]
                if any(word.lower() in self.words for word in new) or new and article in ARTICLES.split("|"):
                    found.append(match.span())
        if ". " not in text:
            return _merged(found)
        found += [match.span() for match in regex.finditer(_COUPLE, text) if unknown(match.group()[:-1])]
        for match in regex.finditer(_TITLED, text):
            start, end = match.span()
            initial = len(match["title"]) == 1
            initials = initial and match.group().count(". ") > 1
            before = max(0, start - LONGEST_NAME)
            first = _FIRST_NAME.search(text[before:start]) if initial else None
            if first and first[1].lower() not in self.words:  # the John of John F. Kennedy
                found.append((before + first.start(), end))
            elif unknown(match["name" if initial else "title"]) or initials and match["name"] not in self.words:
                found.append((start, end))  # the Wells of H. G. Wells may be known as wells
            elif not initial:
                found.append(match.span("name"))  # the title is translated
        return _merged(found)

    def translated(self, text: str) -> str:
        """What a placeholder for `text` becomes in a translation: `treinta` is `thirty`, `el señor Zork` is `Mr. Zork`,
        a name in lower case is spelled as usual, other text stays as it is."""
        if text in COMMON or text.islower() and text.capitalize() in GIVEN:
            return COMMON.get(text, text.capitalize())
        if self.titles and (match := self._courtesy.match(text)):
            title = match["title"]
            return f"{self.titles.get(title.lower(), title)} {text[match.start('name') :]}"
        return self.number_words.get(text.lower(), text)

    def foreign_words(self, text: str) -> list[Span]:
        """Words with a letter that no known word has; none if they are half of all words or more."""
        if not any(unicodedata.category(letter)[0] in "LM" for letter in set(text.lower()) - self._letters):
            return []
        words = [match.span() for match in WHOLE_WORD.finditer(text)]
        foreign = [(start, end) for start, end in words if not self._letters.issuperset(text[start:end].lower())]
        return foreign if 2 * len(foreign) < len(words) else []

    @cached_property
    def _courtesy(self) -> regex.Pattern:
        # One of the titles, with its article, and a name.
        each = "|".join(map(regex.escape, self.titles))
        return regex.compile(
            rf"(?i:(?<!\w)(?:(?:el|la) )?(?P<title>{each})) "
            rf"(?P<name>(?:[Dd]e (?:la )?)?(?!(?:{ROLES})(?!\w)){_NAME.pattern})"
        )

    @cached_property
    def _letters(self) -> frozenset[str]:
        return frozenset("".join(self.words).lower() + "'-ºª")

    @cached_property
    def _stems(self) -> set[str]:
        return {_stem(word) for word in self.words if word.islower()}

    @cached_property
    def _in_order(self) -> list[str]:
        return sorted(self._stems)

    @cached_property
    def _backwards_in_order(self) -> list[str]:
        return sorted(stem[::-1] for stem in self._stems)

    @cached_property
    def _beginnings(self) -> dict[str, set[str]]:
        """The beginnings that known words have before each ending looked up so far."""
        return {}

    def _before(self, ending: str) -> set[str]:
        if ending not in self._beginnings:
            words = _with_prefix(self._backwards_in_order, ending[::-1])
            self._beginnings[ending] = {word[len(ending) :][::-1] for word in words if len(word) >= len(ending) + STEM}
        return self._beginnings[ending]

    def _is_form(self, word: str) -> bool:
        """Whether a known word has the same beginning, and enough others (`ALIKE`) have both endings: *hablaréis* is a
        form if *hablaré* is known and so are *comeréis, comeré* and more such pairs (Gaussier 1999)."""
        needed = max(1, round(ALIKE * len(self._stems)))
        for length in range(max(STEM, len(word) - ENDING), len(word) + 1):
            for known in _with_prefix(self._in_order, word[:length]):
                both = len(known) <= length + ENDING and self._before(word[length:]) & self._before(known[length:])
                if both and len(both) >= needed:
                    return True
        return False


def courtesy_titles(source: str, target: str) -> dict[str, str]:
    """The titles before names in the language `source`, and those of `target`, where they are known here."""
    return COURTESY.get((source, target), {})


def begins(text: str, place: int) -> bool:
    """Whether the word at `place` begins the text, a sentence or a quotation."""
    before = (text[number] for number in range(place - 1, -1, -1))
    return next((one in _STARTS for one in before if one in _STARTS or one.isalnum()), True)


def _is_subject(text: str, start: int, end: int) -> bool:
    """Whether the given name at text[start:end], the first word, is a person by what follows: a verb, or, where the
    name is a counted word, which would have an article, also a comma or another name."""
    follows = _ACTS if text[start:end] in UNCOUNTED.split("|") else _ACTS_OR_IS
    return bool(regex.match(follows, text, pos=end))


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those that overlap as one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        overlaps = merged and start < merged[-1][1]
        first, last = merged.pop() if overlaps else (start, end)
        merged.append((first, max(last, end)))
    return merged


def _adjacent(text: str, one: Span, other: Span) -> bool:
    """Whether a space alone is between the two."""
    return text[min(one, other)[1] : max(one, other)[0]] == " "


def _rows(text: str, spans: Sequence[Span]) -> dict[Span, int]:
    """For each span the beginning of the row that it stands in, such as `Museum of Modern Art`."""
    rows: dict[Span, int] = {}
    end, first = -1, 0
    for span in spans:
        rows[span] = first = first if text[end : span[0]] in (" ", " of ", " de ") else span[0]
        end = span[1]
    return rows


def _follows(pattern: regex.Pattern, text: str, place: int) -> bool:
    """Whether the few letters before `place` match."""
    return pattern.search(text[max(0, place - 6) : place]) is not None


def without_parts(spans: Iterable[Span], wholes: Collection[Span]) -> set[Span]:
    """The spans and `wholes`, without the spans that begin within one of these."""
    covered = {place for whole in wholes for place in range(*whole)}
    return {span for span in spans if span[0] not in covered}.union(wholes)


def _with_prefix(words: list[str], prefix: str) -> list[str]:
    """Those of the sorted words that begin so."""
    return words[bisect_left(words, prefix) : bisect_left(words, prefix + "\U0010ffff")]


def _stem(word: str) -> str:
    """Lower-case the word and strip its accents and apostrophes."""
    word = word.lower().replace("'", "")
    if word.isascii():
        return word
    letters = unicodedata.normalize("NFD", word)
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")


def name_spans(text: str) -> list[Span]:
    """Capitalised words of two letters or more, without a possessive `'s`, and names with a symbol (`SYMBOL_NAME`)."""
    pattern = rf"{SYMBOL_NAME}|{_NAME.pattern}" if _SYMBOL.search(text) else _NAME
    return [match.span() for match in regex.finditer(pattern, text)]
