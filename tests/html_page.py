"""Parse an HTML page strictly, and check that it has only the elements that a status page is made of."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser

VOID = {"meta", "br"}
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "main", "section", "footer", "h1", "h2", "h3", "p"),
    *("div", "span", "a", "b", "br", "code", "pre", "button", "details", "summary", "dl", "dt", "dd"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption"),
    *("svg", "rect", "line", "polyline", "text"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "name", "content", "class", "id", "href", "title", "tabindex", "role"),
    *("aria-label", "aria-hidden", "scope", "colspan", "popover", "popovertarget", "popovertargetaction"),
    *("viewbox", "preserveaspectratio", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "points"),
    "text-anchor",
}


class Element:
    """An element of a parsed page."""

    def __init__(self, name: str, attributes: Mapping[str, str | None], parent: Element | None) -> None:
        self.name = name
        self.attributes = attributes
        self.parent = parent
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def find(self, name: str, **attributes: str) -> list[Element]:
        """Return the descendants with this name and attributes."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if child.name == name and attributes.items() <= child.attributes.items():
                    found.append(child)
                found += child.find(name, **attributes)
        return found

    def walk(self) -> list[Element]:
        found = [self]
        for child in self.children:
            if isinstance(child, Element):
                found += child.walk()
        return found


class Page(HTMLParser):
    """Parses a page and checks that every element is closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.at = Element("", {}, None)
        self.declarations: list[str] = []
        self.feed(text)
        self.close()
        assert self.at is self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        element = Element(tag, dict(attrs), self.at)
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.at.children.append(Element(tag, dict(attrs), self.at))

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.at.name and self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")

    def handle_decl(self, decl: str) -> None:
        self.declarations.append(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data!r}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data!r}")


def check_page(text: str) -> Element:
    """Parse a page, and check that it has no script, no style of its own elements and no address."""
    assert text.isascii()
    page = Page(text)
    assert page.declarations == ["doctype html"]
    for element in page.root.walk()[1:]:
        assert element.name in ELEMENTS, element.name
        assert element.attributes.keys() <= ATTRIBUTES, element.attributes
        assert (element.attributes.get("href") or "#").startswith("#")
    return page.root
