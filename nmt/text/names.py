"""Which words are names: those that the training corpus does not know, and what goes with them."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from importlib.resources import files
from itertools import pairwise

import regex

from nmt.text.casing import Score
from nmt.text.numerals import number_spans
from nmt.text.words import Span

RARE = 20
"""A capitalized word in fewer training pairs than this is unknown if it is a title, seen once or copied by half of
them."""
STEM, ENDING = 4, 6
"""Fewest letters that two forms of a word share at their beginning, and most letters of an ending."""
ALIKE = 1 / 1500
"""Share of the known lower-case words that must alternate between two endings for these to make forms of one word."""

_NAME = regex.compile(
    r"(?<![\w'-])(?:\p{Lu}'\p{Lu}|\p{Ll}{,2}\p{Lu})[\p{L}\p{M}]+(?:['-]\p{Lu}[\p{L}\p{M}]+)*(?!\w|-\d)"
)
TITLES = "Mr|Mrs|Ms|Dr|Prof|Capt|Lt|Sgt|Rev|St|Sr|Sra|Srta|Dra"
"""Titles that end in a point. What follows belongs to them, even if it is a common word."""
_COURTESY = {
    ("es", "en"): {
        **{"señor": "Mr.", "señora": "Mrs.", "señorita": "Miss", "doctor": "Dr.", "doctora": "Dr."},
        **{"sr.": "Mr.", "sra.": "Mrs.", "srta.": "Miss", "dr.": "Dr.", "dra.": "Dr."},
        **{"profesor": "Professor", "profesora": "Professor", "don": "Don", "doña": "Doña"},
        **dict.fromkeys(("señor y la señora", "señor y señora", "sr. y la sra.", "sr. y sra."), "Mr. and Mrs."),
    }
}
_ROLES = (
    "President[ea]|Ministr[oa]|Director|Directora|Alcalde|Alcaldesa|Juez|Jueza|Embajadora?|Senadora?|Gobernadora?|"
    "Rectora?|Policía|Dios|Jesús|Jesucristo|Honoris"
)
"""What stands after a title and is no name."""
_GIVEN = (
    "Alba|Alma|Amber|Amparo|Angel|Aurora|Ámbar|Ángel|Barry|Basil|Bautista|Belén|Bill|Blanca|Bob|Bonnie|Brandy|"
    "Brooke|Bruno|Bud|Candela|Candy|Caridad|Carmen|Carol|Carter|Casey|Celeste|Chase|Chester|Chip|Clara|Clay|"
    "Clement|Clemente|Cliff|Colt|Concepción|Concha|Constance|Consuelo|Coral|Cruz|Crystal|Daisy|Dale|Dalia|Dan|"
    "Dawn|Dean|Diana|Dolores|Drew|Earl|Encarnación|Ernest|Esperanza|Estela|Ester|Estrella|Faith|Fern|Flor|Flora|"
    "Franco|Frank|Gene|Ginger|Glen|Gloria|Grace|Grant|Harry|Hazel|Heath|Heather|Herb|Holden|Holly|Homer|Hope|"
    "Hunter|Inmaculada|Iris|Ivy|Jacinto|Jack|Jasmine|Jay|Jazmín|Jean|Jerónimo|Jewel|Joy|Kit|Lance|Laurel|Lee|"
    "Lena|Leo|Leon|León|Lily|Lina|Linda|Lisa|Lola|Lourdes|Lucio|Lucía|Luz|Magdalena|Marc|Marcial|Marcos|"
    "Margarita|Marina|Mark|Martin|Martín|Mason|Matt|Max|Maya|Melody|Mercedes|Mia|Milagros|Miles|Miranda|Misty|"
    "Narciso|Nick|Nieves|Nina|Norm|Norma|Olive|Olivia|Opal|Paloma|Parker|Pascual|Pat|Patsy|Patty|Pearl|Peg|Penny|"
    "Perla|Pierce|Pilar|Piper|Poppy|Ray|Reed|Reid|Remedios|Rich|Rob|Robin|Rocío|Rod|Ron|Rosa|Rosario|Rose|Ruby|"
    "Rusty|Rut|Sage|Sally|Salvador|Sandy|Saúl|Scarlet|Scott|Sean|Serena|Sierra|Skip|Sky|Socorro|Soledad|Stan|"
    "Stella|Sue|Sunny|Tara|Teddy|Tina|Tito|Tucker|Vera|Victor|Victoria|Viola|Violet|Violeta|Viviana|Víctor|Wade|"
    "Ward|Will|Willow|Woody"
)
GIVEN = frozenset(_GIVEN.split("|"))
"""Given names that are common words too."""
COMMON = frozenset(files(__package__).joinpath("names.txt").read_text("utf-8").split("\n"))
"""Names of people, places and companies that are no words."""
_UNCOUNTED = (
    "Amber|Basil|Brandy|Candy|Clay|Coral|Crystal|Dawn|Faith|Ginger|Grace|Heather|Hope|Jasmine|Joy|Olive|Sage|Violet"
)
"""Those that may begin an English sentence as words, without an article."""
_ACTS = (
    "said|says|told|tells|asked|asks|called|calls|wants|wanted|likes|liked|knows|knew|loves|loved|hates|lives|lived|"
    "works|worked|left|plays|speaks|studies|thinks|thought|wrote|bought|"
    "(?:(?:me|te|le|nos|les) )?(?:dijo|dice|preguntó|llamó|quiere|quería|sabe|sabía)|"
    "está|estaba|tiene|tenía|vive|vivía|trabaja|trabajaba|habla|juega|estudia|viene|vino|(?:ya )?se (?:fue|llama)"
)
"""What a person does."""
_IS = "is|was|has|had|will|came|comes|went|goes|es|era|fue|va|ha|había"
"""What follows a subject: a word that is counted has an article there, a name has none."""
_OPENER = (
    "he|she|it|they|we|you|i|the|this|that|there|then|but|and|él|ella|ellos|ellas|es|el|la|los|las|yo|no|pero|y|se"
)
"""Words with which the next sentence begins."""
_THE = "The|El|La|Los|Las"
_WITHIN = "of|the|and|with|in|on|to|for|a|an|at|from|by|de|del|el|la|los|las|y|en|con|al|un|una"
"""Between the words of the title of a work."""
LISTS = {
    **{
        "names": "|".join(sorted(COMMON - {""})),
        "titles": TITLES,
        "roles": _ROLES,
        "given": _GIVEN,
        "uncounted": _UNCOUNTED,
        "acts": _ACTS,
        "is": _IS,
    },
    **{"openers": _OPENER, "articles": _THE, "within": _WITHIN},
}
"""Words between bars, for nmt/page/names.mjs."""
# Patterns that few sentences need are text, compiled when they are first used: compiling takes milliseconds.
_TITLED = (
    rf"(?<![\w'-])(?P<title>\p{{Lu}}|{TITLES})\. (?:(?:\p{{Lu}}|{TITLES})\. ){{0,3}}"
    rf"(?P<name>(?!(?i:{_OPENER})(?!\w)){_NAME.pattern})"
)
"""A name after a title or initials: `Dr. Brown`, `J. K. Rowling`."""
_COUPLE = rf"(?<![\w'-])(?:{TITLES})\.(?= (?:and|y) (?:{TITLES})\. \p{{Lu}})"
"""The first title of `Mr. and Mrs. Brown`."""
_REST = rf"(?: (?:(?:{_WITHIN}) ){{,3}}{_NAME.pattern})+"
_WORK = rf"(?<=\"){_NAME.pattern}{_REST}(?=[.,!?]?\")|(?<=(?<!\w)\p{{Ll}}+ )(?:{_THE}){_REST}"
"""The title of a work, in quotation marks or with an article: `"Gone with the Wind"`, `of The Great Gatsby`."""
_FIRST_NAME = regex.compile(r"(?<![\w'-])(\p{Lu}[\p{L}\p{M}]+) \Z")
LONGEST_NAME = 40
"""Characters before initials in which a first name is looked for."""
_WORD = regex.compile(r"(?<![\p{L}\p{M}\p{N}])[\p{L}\p{M}]+(?:'[\p{L}\p{M}]+)*")
_WHOLE_WORD = regex.compile(r"(?<![\w'-])[\p{L}\p{M}]+(?:['-][\p{L}\p{M}]+)*(?!\w|-\d)")
_ONE_CASE = regex.compile(r"(?<![\w'-])(?:\p{Lu}{3,}(?![\w'-])|\p{Ll}{2,}(?![\w-]|'(?!s(?![\w'-]))))")
_LOWER = regex.compile(r"(?<![\w'-])\p{Ll}")
_BEGINNING = regex.compile(r"^[^\p{L}\p{N}]*$")
_STARTS = frozenset('.!?…:"¿¡')
"""After one of these a sentence or a quotation begins."""
_ARTICLE = regex.compile(r"(?i)(?<!\w)(?:an?|the|el|la|los|las|un|una) \Z")
_DETERMINER = regex.compile(
    r"(?i)(?:'s|(?<!\w)(?:the|my|your|his|her|our|their|el|la|los|las|al|del|un|una|mi|tu|su)) \Z"
)
"""`a` is none in Spanish: `Vi a Rosa`."""
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
    ) -> None:
        """`number_words`, and `titles` with the name after them, get placeholders and become what they map to."""
        self.words = frozenset(words)
        self.number_words, self.titles = number_words or {}, titles or {}

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> KnownWords:
        """All words of the source sentences except `RARE` capitalized ones; numbers too, where most pairs do not copy
        them. A capitalized form is kept if the word has no other, or is capitalized within a sentence."""
        seen: Counter[str] = Counter()
        copied: Counter[str] = Counter()
        words: set[str] = set()
        numbers: set[str] = set()
        within: set[str] = set()
        for source, target in pairs:
            names, counted = name_spans(source), number_spans(source)
            own = {source[start:end] for start, end in names + counted}
            seen.update(own)
            copied.update(own & {target[start:end] for start, end in name_spans(target) + number_spans(target)})
            numbers.update(source[start:end] for start, end in counted)
            words.update(match.group() for match in _WORD.finditer(source))
            within.update(source[start:end] for start, end in names if not _begins(source, start))
        rare = {
            text
            for text, count in seen.items()
            if count < RARE and (count == 1 or 2 * copied[text] >= count or text in TITLES.split("|"))
        }
        known = (words - rare) | {part for name in seen.keys() - rare - numbers for part in name.split("-")}
        if 2 * sum(copied[number] for number in numbers) < sum(seen[number] for number in numbers):
            known |= numbers
        return cls(one for one in known if one == one.lower() or one.lower() not in known or one in within)

    def is_name(self, text: str, start: int, end: int) -> bool:
        """Whether the capitalized word at text[start:end] is unknown, in lower case too.

        The first word of a sentence, which is capitalized anyway, must also be one of `GIVEN`, or no known word without
        its accents and, unless another name follows, no form of one (`_is_form`).
        """
        name = text[start:end]
        if all(part in self.words or part.lower() in self.words for part in name.split("-")):
            return False
        if name in GIVEN or name in COMMON or not _BEGINNING.search(text[:start]):
            return True
        other = _NAME.match(text, end + 1) if text[end : end + 1] == " " else None
        stem = _stem(name)
        if stem in self._stems:  # typed without its accents
            return False
        return bool(other and self.is_name(text, *other.span())) or not self._is_form(stem)

    def is_unknown(self, name: str) -> bool:
        """Whether a capitalized word is a name wherever it stands."""
        return name_spans(name) == [(0, len(name))] and self.is_name(name, 0, len(name))

    def names(self, text: str) -> set[Span]:
        """The capitalized words that are names.

        A name takes along its neighbours that are known in lower case alone, such as `Jobs` in `Steve Jobs`, and those
        before it that are known capitalized alone, such as `Juan` in `Juan Zork`. Two words in a row that are known in
        lower case alone are a name too (`Buenos Aires`), so is a common word after a `COMMON` name (`Tim Cook`), and
        so is one of `GIVEN` that follows no determiner; at the beginning it must be the subject (`Bill called`). So is
        a name after an unknown title or initials, with these.

        The first word of a sentence, or of a quotation, is no such word unless it is a given name before another name
        (`Frank Zork`), nor are a word after an article (`el Presidente Zork`) and the words of a title, of which most
        are capitalized.
        """
        spans = name_spans(text)
        names = {span for span in spans if self.is_name(text, *span)}
        first = spans[0] if spans and _begins(text, spans[0][0]) else None
        if first and text[slice(*first)] in GIVEN and _is_subject(text, *first):
            names.add(first)
        titled = self._titled(text)
        within = [span for span in spans if not _begins(text, span[0])]
        if not within:
            return without_parts(names, titled)
        common = len(_LOWER.findall(text))
        unusual = [span for span in within if text[slice(*span)] not in self.words]
        few = len(unusual) <= common + 1
        if few:
            given = (span for span in within if text[slice(*span)] in GIVEN)
            names.update(span for span in given if not _follows(_DETERMINER, text, span[0]))
        if not common:
            return without_parts(names, titled)
        for row in (spans, spans[::-1]):
            for one, other in pairwise(row):
                if one in names and _adjacent(text, one, other) and self._joins(text, other, before=other < one):
                    names.add(other)
        if few:
            for one, other in pairwise(unusual):
                if _adjacent(text, one, other) and not _follows(_ARTICLE, text, one[0]):
                    names.update((one, other))
            for one, other in pairwise(spans):
                word = text[slice(*other)].lower() in self.words and other not in names
                if word and text[slice(*one)] in COMMON and _adjacent(text, one, other):
                    names.update((one, other))
        return without_parts(names, titled)

    def _joins(self, text: str, span: Span, before: bool) -> bool:
        """Whether the word beside a name, or before it, belongs to it."""
        start, word = span[0], text[slice(*span)]
        if _begins(text, start):
            return before and word in GIVEN and not text.endswith("?")  # Will Zork come?
        if before and _follows(_ARTICLE, text, start):
            return False
        alone = before and word.lower() not in self.words and not _follows(_PLACE, text, start)
        return word not in self.words or alone

    def _titled(self, text: str) -> list[Span]:
        def unknown(word: str) -> bool:
            return word not in self.words and word.lower() not in self.words

        found = [match.span() for match in self._courtesy.finditer(text)] if self.titles else []
        if '"' in text or any(f" {article} " in text for article in _THE.split("|")):
            for match in regex.finditer(_WORK, text):
                article, *rest = match.group().split(" ")
                new = [word for word in rest if word[0].isupper() and word not in self.words]
                if any(word.lower() in self.words for word in new) or new and article in _THE.split("|"):
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
        return _merged(found)

    def translated(self, text: str) -> str:
        """What a placeholder for `text` becomes in a translation: `treinta` is `thirty`, `el señor Zork` is `Mr. Zork`,
        a `COMMON` name has its capital, other text stays as it is."""
        if text.islower() and text.capitalize() in COMMON:
            return text.capitalize()
        if self.titles and (match := self._courtesy.match(text)):
            title = match["title"]
            return f"{self.titles.get(title.lower(), title)} {text[match.start('name') :]}"
        return self.number_words.get(text.lower(), text)

    def foreign_words(self, text: str) -> list[Span]:
        """Words with a letter that no known word has; none if they are half of all words or more."""
        if not any(unicodedata.category(letter)[0] in "LM" for letter in set(text.lower()) - self._letters):
            return []
        words = [match.span() for match in _WHOLE_WORD.finditer(text)]
        foreign = [(start, end) for start, end in words if not self._letters.issuperset(text[start:end].lower())]
        return foreign if 2 * len(foreign) < len(words) else []

    def usual_case(self, text: str, score: Score) -> str:
        """Rewrite words in capitals (three letters or more) that are known in lower case alone, and words in lower case
        that are `COMMON` names, or known with a capital alone and likelier so by their pieces (`score`)."""

        def usual(match: regex.Match) -> str:
            word = match.group()
            lower, capital = word.lower(), word.capitalize()
            if word in self.words or len(lower) != len(word) or len(capital) != len(word):
                return word
            if word == lower:
                known = capital in self.words and score(capital) > score(word)
                return capital if known or capital in COMMON else word
            if lower not in self.words:
                return word
            return capital if _BEGINNING.search(text[: match.start()]) else lower

        return text if self.words.issuperset(_ONE_CASE.findall(text)) else _ONE_CASE.sub(usual, text)

    @cached_property
    def _courtesy(self) -> regex.Pattern:
        # One of the titles, with its article, and a name.
        each = "|".join(map(regex.escape, self.titles))
        return regex.compile(
            rf"(?i:(?<!\w)(?:(?:el|la) )?(?P<title>{each})) "
            rf"(?P<name>(?:[Dd]e (?:la )?)?(?!(?:{_ROLES})(?!\w)){_NAME.pattern})"
        )

    @cached_property
    def _letters(self) -> frozenset[str]:
        return frozenset("".join(self.words).lower() + "'-")

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
    return _COURTESY.get((source, target), {})


def _begins(text: str, place: int) -> bool:
    """Whether the word at `place` begins the text, a sentence or a quotation."""
    before = (text[number] for number in range(place - 1, -1, -1))
    return next((one in _STARTS for one in before if one in _STARTS or one.isalnum()), True)


def _is_subject(text: str, start: int, end: int) -> bool:
    """Whether the given name at text[start:end], the first word, is a person by what follows: a verb, or, where the
    name is a counted word, which would have an article, also a comma or another name."""
    counted = text[start:end] not in _UNCOUNTED.split("|")
    acts = rf" (?:{_ACTS}|{_IS})(?![\w-])|,| (?:and|y) \p{{Lu}}" if counted else rf" (?:{_ACTS})(?![\w-])"
    return bool(regex.match(acts, text, pos=end))


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
    """Lower-case the word and strip its accents."""
    if word.isascii():
        return word.lower()
    letters = unicodedata.normalize("NFD", word.lower())
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")


def name_spans(text: str) -> list[Span]:
    """Capitalised words of two letters or more, without a possessive `'s`."""
    return [match.span() for match in _NAME.finditer(text)]
