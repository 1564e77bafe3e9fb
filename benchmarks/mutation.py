"""One rule broken, and the test that must notice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """One rule broken.

    Attributes:
        name: What is broken.
        file: Where.
        old: Text that is replaced; it occurs once.
        new: What replaces it.
        test: The test that must notice.
    """

    name: str
    file: str
    old: str
    new: str
    test: str
