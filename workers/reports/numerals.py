"""Numbers as people read them."""

import math
from typing import Any, Final

MINUS: Final = "\N{MINUS SIGN}"
SPACE: Final = "\N{NO-BREAK SPACE}"
SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def numeral(value: float, *, signed: bool = False) -> str:
    """Three significant digits or so; thousands separated; tiny numbers as powers of ten.

    Raises:
        ValueError: The number is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is not finite")
    size = abs(value)
    text = "0" if size == 0 else _digits(size)
    if text.strip("0.") == "":
        return "0"
    sign = MINUS if value < 0 else "+" if signed else ""
    return sign + text


def exact(value: float) -> str:
    """A number that somebody chose, such as a threshold: as short as it was written."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:g}"


def percent(share: float) -> str:
    """A share as a percentage; what is not quite none or all is not printed as none or all."""
    size = abs(share) * 100
    if 0 < size < 0.05:
        text = "<0.1"
    elif 99.95 <= size < 100:
        text = ">99.9"
    else:
        text = f"{size:.0f}" if 9.95 <= size <= 99 else f"{size:.1f}".removesuffix(".0")
    return f"{MINUS if share < 0 else ''}{text}{SPACE}%"


def count(value: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def _digits(size: float) -> str:
    if size >= 1e9 or size < 5e-4:
        mantissa, exponent = f"{size:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}×10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    if float(size).is_integer():
        return f"{size:,.0f}"
    if size >= 100:
        return f"{size:,.0f}"
    if size >= 10:
        return f"{size:.1f}"
    if size < 0.01:
        return f"{size:.2g}"
    return f"{size:.2f}" if size >= 1 else f"{size:.3f}"
