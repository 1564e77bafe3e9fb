import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cursors import decode, encode
from service.errors import ValidationFailed

LISTING = {"route": "analyses_list", "status": None}


@given(
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
def test_a_cursor_gives_its_position_back(number: int, text: str) -> None:
    assert decode(encode((number, text), LISTING), LISTING, (int, str)) == (number, text)


def test_without_a_cursor_there_is_no_position() -> None:
    assert decode(None, LISTING, (int, str)) is None


def test_a_cursor_of_other_filters_is_refused() -> None:
    cursor = encode((1, "x"), LISTING)
    with pytest.raises(ValidationFailed, match="another list"):
        decode(cursor, {**LISTING, "status": "failed"}, (int, str))


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: base64.urlsafe_b64encode(b).decode()))
def test_junk_is_refused_and_never_an_internal_error(junk: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        decode(junk, LISTING, (int, str))
    assert caught.value.code == "invalid_cursor"


@pytest.mark.parametrize("position", [("x", 1), (1,), (1, "x", 2), (2**63, "x"), (True, "x"), (1, "a\0")])
def test_positions_of_another_shape_are_refused(position: tuple[int | str, ...]) -> None:
    with pytest.raises(ValidationFailed):
        decode(encode(position, LISTING), LISTING, (int, str))
