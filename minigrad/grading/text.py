"""Text that a stranger wrote, made fit to be shown: in a terminal, in a table, on a page."""

from __future__ import annotations

import unicodedata

SHOWN = {"\n", "\t"}


def plain(text: str, most: int = 500) -> str:
    r"""`text` without what acts instead of being read: escapes, direction marks, lone surrogates; cut in the middle.

    >>> plain("\x1b[2Jred \u202eevil")
    '\\x1b[2Jred \\u202eevil'
    >>> plain("a" * 30, 11)
    'aaaaa…aaaaa'
    """
    if len(text) > most:
        text = f"{text[: most // 2]}…{text[-(most // 2) :]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in SHOWN or unicodedata.category(c)[0] != "C" else escaped(c) for c in text)


def escaped(c: str) -> str:
    return c.encode("unicode_escape").decode("ascii")
