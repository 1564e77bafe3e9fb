"""SVG elements as escaped markup."""

from collections.abc import Iterable
from typing import Final

from markupsafe import Markup, escape

SMALLEST: Final = 1e-3
"""Per cent; positions are rounded to this."""


def element(tag: str, *children: Markup | str, **attributes: object) -> Markup:
    """An element; `class_` is `class`, other underscores are hyphens, None leaves an attribute out."""
    given = [
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    ]
    inner = "".join(map(escape, children))
    return Markup(f"<{tag}{''.join(given)}>{inner}</{tag}>")


def joined(elements: Iterable[Markup]) -> Markup:
    """Elements one after the other."""
    return Markup("").join(elements)


def at(share: float) -> str:
    """A position as a percentage of the drawing's width, so that text keeps its size on a phone."""
    return f"{round(100 * share / SMALLEST) * SMALLEST:.3f}".rstrip("0").rstrip(".") + "%"


def line(start: float, end: float, top: float, bottom: float, css: str) -> Markup:
    """A line; x as shares of the width, y in pixels."""
    return element("line", x1=at(start), x2=at(end), y1=top, y2=bottom, class_=css)


def box(start: float, end: float, top: float, height: float, css: str, radius: float = 0) -> Markup:
    """A rectangle between two shares of the width."""
    left, right = sorted((start, end))
    return element(
        "rect", x=at(left), width=at(right - left), y=top, height=height, rx=radius or None, class_=css
    )


def words(text: str, x: float, y: float, css: str = "", anchor: str = "middle", dx: float = 0) -> Markup:
    """Text at a share of the width."""
    return element("text", text, x=at(x), y=y, dx=dx or None, text_anchor=anchor, class_=css or None)
