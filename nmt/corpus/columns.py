"""Finding the source and target sentences in a record."""

from collections.abc import Mapping
from typing import Any

from nmt.errors import UserError

Column = tuple[str, ...]
"""Path of keys, outermost first."""
_MISSING = object()


def value_at(record: Any, column: Column) -> Any:
    """The value at a path of keys, or `_MISSING`."""
    for key in column:
        if not isinstance(record, Mapping) or key not in record:
            return _MISSING
        record = record[key]
    return record


def find_column(record: Mapping[str, Any], side: str, language: str, name: str | int | None, where: str) -> Column:
    """The path of one side ("source" or "target") in records like this one.

    A configured name is a key or a dotted path (`translation.en`). The default is the language code, at the top level
    or within `translation`, else "source" or "target".

    Raises UserError, listing the existing columns, if there is none.
    """
    if name is not None:
        candidates = [(str(name),), tuple(str(name).split("."))]
    else:
        candidates = [(language,), ("translation", language), (side,)]
    for column in candidates:
        if value_at(record, column) is not _MISSING:
            return column
    there = ", ".join(
        f"{key}.{inner}" if isinstance(value, Mapping) else key
        for key, value in record.items()
        for inner in (value if isinstance(value, Mapping) else [""])
    )
    wanted = f"column {name!r}" if name is not None else f"column for the {side} language {language!r}"
    raise UserError(f"{where}: no {wanted} among {there or 'no columns at all'}: set data.{side}_column")


def sentence_at(record: Mapping[str, Any], column: Column, where: str) -> str:
    """The sentence in that column; null is an empty sentence, which the filters count and drop.

    Raises UserError if the value is absent, not text, or not valid Unicode (a lone surrogate).
    """
    value = value_at(record, column)
    name = ".".join(column)
    if value is _MISSING:
        raise UserError(f"{where}: no column {name!r} here: every record needs it")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(f"{where}: column {name!r} holds {type(value).__name__}, not text: name another column")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: column {name!r} holds a lone surrogate, which is no character: mend it") from error
    return value
