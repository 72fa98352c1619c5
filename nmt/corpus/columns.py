"""Which part of a record is the source sentence and which the target sentence."""

from collections.abc import Mapping
from typing import Any

from nmt.errors import UserError

# Keys that lead to a value, outermost first.
Column = tuple[str, ...]
_MISSING = object()


def value_at(record: Any, column: Column) -> Any:
    """The value that the keys lead to, or a mark that there is none."""
    for key in column:
        if not isinstance(record, Mapping) or key not in record:
            return _MISSING
        record = record[key]
    return record


def find_column(record: Mapping[str, Any], side: str, language: str, name: str | int | None, where: str) -> Column:
    """The keys of one side ("source" or "target") in records like this one.

    A configured name is a key, or keys with dots between them (`translation.en`). Without one it is the
    language code, at the top or within `translation`, else "source" or "target".

    Raises:
        UserError: when there is no such column; it lists those that there are.
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
    """The sentence in that column; null is an empty sentence (which the filters count and drop).

    Raises:
        UserError: when the value is absent, no text, or text that is not Unicode (a lone surrogate).
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
