"""XML read without entities: they can grow without end, and name other files."""

from __future__ import annotations

from xml.etree import ElementTree

from wsreg.errors import InputError


def parse_xml(text: str, source: object) -> ElementTree.Element:
    """Return the root of an XML document.

    Raises:
        InputError: it is no XML, or defines entities; ``source`` says whose it is.
    """
    if "<!ENTITY" in text:
        raise InputError(f"{source} must be XML without entities of its own, it defines some")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"{source} must be valid XML: {error}") from None
