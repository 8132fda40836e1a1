"""Pictures that have much in common, written once: what a later one repeats, the earlier ones refer to by <use>.

The last picture is complete in itself, for it is the one that is seen where nothing turns the pages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

SHARED = {"g", "path", "text", "tspan", "rect", "circle", "image", "use"}
WORTH = 60  # characters; a reference takes about 25


def share(svgs: Sequence[str], prefix: str) -> list[str]:
    """The same pictures, smaller, with ids that begin with `prefix`.

    >>> circle = '<circle cx="5" cy="5" r="3" stroke="currentColor" stroke-width="2"/>'
    >>> first, last = share([f"<svg>{circle}</svg>", f'<svg>{circle}<path d="M0 0"/></svg>'], "p")
    >>> first
    '<svg><use href="#p0" /></svg>'
    >>> last
    '<svg><circle cx="5" cy="5" r="3" stroke="currentColor" stroke-width="2" id="p0" /><path d="M0 0" /></svg>'
    """
    svgs = [without_namespaces(svg) for svg in svgs]
    if disagree(svgs):
        return [prefixed(svg, f"{prefix}{k}-") for k, svg in enumerate(svgs)]
    pool = _Pool(prefix)
    roots = [tidied(prefixed(svg, f"{prefix}-")) for svg in svgs]
    for root in reversed(roots):
        pool.take(root)
    return list(map(text_of, roots))


def prefixed(svg: str, prefix: str) -> str:
    """Ids that no other picture on a page has.

    >>> prefixed('<path id="a"/><use href="#a"/>', "p-")
    '<path id="p-a"/><use href="#p-a"/>'
    """
    return re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{prefix}", svg)


def without_namespaces(svg: str) -> str:
    """The <svg> as HTML wants it."""
    return re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")


def disagree(svgs: Sequence[str]) -> bool:
    """Whether two pictures mean different things by one id."""
    meant: dict[str, str] = {}
    with_ids = [svg for svg in svgs if ' id="' in svg]
    elements = (element for svg in with_ids for element in tidied(svg).iter() if element.get("id"))
    return any(meant.setdefault(element.get("id"), text) != text for element in elements for text in [text_of(element)])


def tidied(svg: str) -> Element:
    """Without ids that nothing refers to and without the space between lines."""
    wanted = set(re.findall(r'(?:href="|url\()#([^")]*)', svg))
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        if element.get("id") not in wanted:
            element.attrib.pop("id", None)
        element.text, element.tail = (s if s and s.strip() else None for s in (element.text, element.tail))
    return root


def text_of(element: Element) -> str:
    return ElementTree.tostring(element, encoding="unicode")


class _Pool:
    """The elements met so far."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.elements: dict[str, Element] = {}  # by their text
        self.defined: set[str] = set()  # ids
        self.given = 0

    def take(self, parent: Element, defining: bool = False) -> None:
        """Below `parent`, refer to what is known and remember the rest."""
        for k, child in reversed(list(enumerate(parent))):
            text, name = text_of(child), child.get("id")
            if defining and name and name in self.defined:
                parent.remove(child)
            elif not defining and text in self.elements:
                parent[k] = reference = Element("use", href=f"#{self.named(self.elements[text])}")
                reference.tail = child.tail
            else:
                self.defined.add(name)
                if not defining and child.tag in SHARED and len(text) > WORTH:
                    self.elements[text] = child
                self.take(child, defining or child.tag in ("defs", "clipPath"))

    def named(self, element: Element) -> str:
        """The element's id; it gets one when it is first referred to."""
        if element.get("id") is None:
            element.set("id", f"{self.prefix}{self.given}")
            self.given += 1
        return element.get("id")
