"""Text that a stranger wrote, made fit to be shown: in a terminal, in a table, on a page."""

from __future__ import annotations

import re
import unicodedata

SHOWN = {"\n", "\t"}
CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f]")  # of ASCII
ACTS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def plain(text: str, most: int = 500) -> str:
    r"""`text` without what acts instead of being read: escapes, direction marks, lone surrogates; cut in the middle.

    >>> plain("\x1b[2Jred \u202eevil")
    '\\x1b[2Jred \\u202eevil'
    >>> plain("a" * 30, 11)
    'aaaaa…aaaaa'
    """
    if len(text) > most:
        text = f"{text[: most // 2]}…{text[-(most // 2) :]}"
    if text.isascii() and not CONTROL.search(text):
        return text
    return "".join(c if c in SHOWN or unicodedata.category(c)[0] != "C" else escaped(c) for c in text)


def harmless(page: str) -> str:
    r"""A whole page with whatever acts spelt out: `plain` for what is long, and was plain before.

    >>> harmless("a\x1b[2J\nb")
    'a\\x1b[2J\nb'
    """
    return ACTS.sub(lambda found: escaped(found[0]), page)


def escaped(c: str) -> str:
    return c.encode("unicode_escape").decode("ascii")
