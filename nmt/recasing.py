"""Give the words of a translation the capitals that a name has in its source."""

from __future__ import annotations

from dataclasses import replace

from nmt.text.casing import capitalized
from nmt.text.encoding import Encoding
from nmt.text.name_lists import WITHIN
from nmt.text.words import split_words
from nmt.translation import Translation

JOINING = frozenset(("", "of", "of the", "de", "del", "de la", "de los", "de las"))
"""What stands between the capitalized words of one name."""
PRONOUNS = frozenset(("I", "You", "Me", "He", "She", "It", "We", "They", "Te", "Se", "Nos", "Lo", "La", "Yo"))
"""What no name has: `I Love You` is none."""
SMALL = frozenset(WITHIN.split("|"))
"""What a name has in lower case."""
LEAST = {"en": 1}
"""How many words of a name must have been read in lower case, by the language that it is written in; else 2: Spanish
has `el tío Tom` for `Uncle Tom`, but `la Casa Blanca` for `the White House`."""


def with_capitals(translation: Translation, source: Encoding, language: str) -> Translation:
    """Capitalize the words of a translation into `language` that are linked to words of one name alone, of which enough
    (`LEAST`) were read in lower case: `White House` becomes `Casa Blanca`."""
    if not source.lowered or not translation.alignment:
        return translation
    lowered = {word for span in source.lowered for word in source.words_within(span)}
    names = [name for name in _names(source) if len(lowered.intersection(name)) >= LEAST.get(language, 2)]
    words = split_words(translation.text)
    linked: dict[int, set[int]] = {}
    for own, target in translation.alignment:
        linked.setdefault(target, set()).add(own)
    text = translation.text
    for target in sorted(linked, reverse=True):
        start, word = words[target].start, words[target].text
        if word not in SMALL and any(linked[target] <= set(range(name[0], name[-1] + 1)) for name in names):
            text = text[:start] + capitalized(word) + text[start + len(word) :]
    return replace(translation, text=text, target_words=[word.text for word in split_words(text)])


def _names(source: Encoding) -> list[list[int]]:
    """The capitalized words that follow each other, the first word of the sentence aside, two or more."""
    texts = [word.text for word in source.words]
    first = next((number for number, text in enumerate(texts) if text[0].isalpha()), 0)
    names: list[list[int]] = []
    for number in (number for number, text in enumerate(texts) if number > first and text[0].isupper()):
        if names and " ".join(texts[names[-1][-1] + 1 : number]) in JOINING:
            names[-1].append(number)
        else:
            names.append([number])
    return [name for name in names if len(name) > 1 and PRONOUNS.isdisjoint(texts[number] for number in name)]
