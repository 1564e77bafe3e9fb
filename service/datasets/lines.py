"""Prompts from JSON Lines as they arrive, with the line of every fault."""

import hashlib
import json
from collections import Counter
from typing import IO, Any, Final

from pydantic import ValidationError

from api_schemas.problems import FieldProblem
from api_schemas.prompts import Prompt
from service.errors import InvalidJson, ValidationFailed
from service.pointers import resolve
from service.strict_json import parse

MAX_LINE_BYTES: Final = 8 << 20
"""Of one prompt: more than a prompt of the longest text takes, and all that is held before it is checked."""


class PromptLines:
    """Reads prompts, checks each, and writes them in one canonical form.

    A prompt without an id gets the number of its line.

    Attributes:
        ids: Ids, in order.
        families: Distinct families.
        splits: Prompts of each split.
        bytes: Bytes written.
    """

    def __init__(self, out: IO[bytes], *, max_prompts: int, max_depth: int, max_faults: int) -> None:
        """Write to ``out``; read at most ``max_prompts``, and stop at ``max_faults``."""
        self._out = out
        self._max_prompts, self._max_depth, self._max_faults = max_prompts, max_depth, max_faults
        self._rest = bytearray()
        self._line = 0
        self._lines_of: dict[str, int] = {}
        self._faults: list[FieldProblem] = []
        self._digest = hashlib.sha256()
        self.families: set[str] = set()
        self.splits: Counter[str] = Counter()
        self.bytes = 0

    @property
    def ids(self) -> list[str]:
        """Ids of the prompts, in order."""
        return list(self._lines_of)

    @property
    def sha256(self) -> str:
        """Hash of what was written."""
        return self._digest.hexdigest()

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the file.

        Raises:
            ValidationFailed: there are too many prompts, too long a line, or enough faults to stop.
        """
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._rest += part
            self._read_line(bytes(self._rest))
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > MAX_LINE_BYTES:
            detail = f"the line has more than {MAX_LINE_BYTES:,} bytes"
            self._faults.append(FieldProblem(detail=detail, line=self._line + 1))
            self._stop()

    def finish(self) -> None:
        """Take the last line.

        Raises:
            ValidationFailed: there are faults, or no prompts.
        """
        if self._rest:
            self._read_line(bytes(self._rest))
        if self._faults:
            self._stop()
        if not self._lines_of:
            raise ValidationFailed(
                "the body holds no prompts; send one JSON object a line", code="no_prompts"
            )

    def _read_line(self, line: bytes) -> None:
        self._line += 1
        if not line.strip():
            return
        prompt = self._prompt(line)
        if isinstance(prompt, FieldProblem):
            self._faults.append(prompt)
            if len(self._faults) >= self._max_faults:
                self._stop()
            return
        if len(self._lines_of) > self._max_prompts:
            raise ValidationFailed(
                f"a data set holds at most {self._max_prompts:,} prompts (TILTSCOPE_MAX_DATASET_PROMPTS); "
                "split the file",
                code="too_many_prompts",
                errors=[FieldProblem(detail="one prompt too many", line=self._line)],
            )
        self._write(prompt)

    def _prompt(self, line: bytes) -> Prompt | FieldProblem:
        """The prompt of a line, or what is wrong with it."""
        try:
            content = parse(line, max_depth=self._max_depth, max_faults=1)
        except InvalidJson as error:
            pointer = error.errors[0].pointer if error.errors else None
            return FieldProblem(detail=error.detail, pointer=pointer, line=self._line)
        if not isinstance(content, dict):
            return FieldProblem(detail="the line is no JSON object", line=self._line)
        try:
            prompt = Prompt.model_validate({"id": str(self._line), **content})
        except ValidationError as error:
            return _first_fault(error, content, self._line)
        earlier = self._lines_of.setdefault(prompt.id, self._line)
        if earlier != self._line:
            detail = f"the id `{prompt.id}` is already that of line {earlier}; ids tell prompts apart"
            return FieldProblem(detail=detail, pointer="/id", line=self._line)
        return prompt

    def _write(self, prompt: Prompt) -> None:
        content = prompt.model_dump(mode="json", exclude_defaults=True)
        line = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._out.write(line)
        self._digest.update(line)
        self.bytes += len(line)
        if prompt.family is not None:
            self.families.add(prompt.family)
        if prompt.split is not None:
            self.splits[prompt.split] += 1

    def _stop(self) -> None:
        first, more = self._faults[0], len(self._faults) - 1
        detail = f"line {first.line}: {first.detail}" + (f" (and {more} more)" if more else "")
        raise ValidationFailed(detail, code="invalid_prompts", errors=self._faults)


def _first_fault(error: ValidationError, content: Any, line: int) -> FieldProblem:
    fault = error.errors(include_url=False)[0]
    detail = str(fault["ctx"]["error"]) if fault["type"] == "value_error" else fault["msg"]
    pointer = resolve(content, fault["loc"], missing=fault["type"] == "missing")
    return FieldProblem(detail=detail, pointer=pointer, line=line)
