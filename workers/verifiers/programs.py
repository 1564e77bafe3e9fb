"""The `python` signal: the text's program passes its prompt's tests, in a sandbox."""

import re
from dataclasses import dataclass
from typing import Final

from workers.verifiers.extraction import Extraction
from workers.verifiers.judgement import (
    AnswerKey,
    FinishReason,
    Judgement,
    accepted,
    failed,
    not_accepted,
    not_parsed,
)
from workers.verifiers.sandbox import Sandbox

FENCE: Final = re.compile(r"^[ \t]*```[^\n]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)

MAX_CHARACTERS: Final = 200_000
"""Of a program: beyond any completion."""


@dataclass(frozen=True, slots=True)
class ProgramVerifier:
    """Accept a program that runs, and whose tests raise nothing.

    Attributes:
        extraction: Where the program is; None takes the last fenced block, or else the whole text.
        sandbox: Where it runs.
        seconds: CPU time of program and tests.
        memory_bytes: Address space of each of its processes.
        after_prompt: Whether the program is the prompt with the completion after it.
    """

    extraction: Extraction | None
    sandbox: Sandbox
    seconds: float
    memory_bytes: int
    after_prompt: bool
    version: str = "python/1"

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge one completion.

        A program that exhausts its time or memory is `incorrect`; a sandbox that does not start is a
        `verifier_error`; cut text without a closed block is `truncated`.
        """
        if key.tests is None:
            return failed("the prompt has no tests")
        program, complete = self._program(text)
        if program is None or not program.strip():
            return not_parsed(finish_reason, "no program found")
        if len(program) > MAX_CHARACTERS:
            return failed(f"a program of more than {MAX_CHARACTERS:,} characters")
        whole = key.prompt + program if self.after_prompt else program
        ending = self.sandbox.run(whole, key.tests, seconds=self.seconds, memory_bytes=self.memory_bytes)
        if not ending.judged:
            return failed(ending.detail)
        if ending.passed:
            return accepted()
        if not ending.is_program:
            return not_parsed(finish_reason, ending.detail)
        if finish_reason == "length" and not complete:
            return not_accepted(finish_reason, could_continue=True)
        return Judgement("incorrect", 0.0, ending.detail)

    def _program(self, text: str) -> tuple[str | None, bool]:
        """The program, and whether the text shows that it is whole."""
        if self.extraction is not None:
            found = self.extraction.find(text)
            return found, found is not None
        blocks = FENCE.findall(text)
        return (blocks[-1], True) if blocks else (text, False)
