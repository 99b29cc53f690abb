"""Read a page of HTML without a browser."""

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """The elements of a page: tag, attributes and the text inside.

    Refuses a page whose tags are not nested properly.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[int] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self.elements[self._open[-1]][0]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open[-1]][0] == tag, f"</{tag}> closes another element"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for index in self._open:
            self.elements[index][2].append(data)

    def texts(self, tag: str, **attributes: str) -> list[str]:
        """The text of every element of this tag with these attributes (``_`` stands for ``-``)."""
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        return [
            " ".join(" ".join(inside).split())
            for found, given, inside in self.elements
            if found == tag and all(given.get(name) == wanted[name] for name in wanted)
        ]

    def values(self, attribute: str) -> list[str]:
        """Every value of an attribute."""
        return [given[attribute] or "" for _, given, _ in self.elements if attribute in given]
