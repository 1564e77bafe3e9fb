"""Rendering the prompts of every stream, before the first sample is drawn."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from workers.engines.errors import UnrenderablePrompt
from workers.errors import AnalysisFault
from workers.host.engine_room import EngineRoom
from workers.pipelines.participants import Participant
from workers.pipelines.rendering import render_ids
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.streams import Stream


def chat_template(room: EngineRoom, participants: Mapping[str, Participant], stream: Stream) -> str | None:
    """Text of the chat template that a stream's rendering names; None if that is its own model's.

    Raises:
        AnalysisFault: that model has none.
    """
    side = _lender(stream)
    return None if side is None else room.chat_template(participants[side])


def _lender(stream: Stream) -> str | None:
    """Whose chat template a stream's rendering names; None if that is its own model's."""
    side = stream.rendering.chat_template
    return None if side == stream.participant else side


def prompt_lengths(
    spec: AnalysisSpec, room: EngineRoom, participants: Mapping[str, Participant]
) -> dict[str, list[int]]:
    """Tokens of every prompt, by stream; an imported one renders none.

    Tokenizers alone are loaded: who plans may have no room for weights.

    Raises:
        AnalysisFault: a prompt cannot be rendered.
    """

    # Once for all arms of a side: each time the room is asked it reads and hashes the tokenizer's files.
    @cache
    def tokenizer(side: str) -> Any:
        return room.tokenizer(participants[side])

    @cache
    def template(side: str) -> str:
        return room.chat_template(participants[side])

    def lengths_of(stream: Stream) -> list[int]:
        lent = _lender(stream)
        return _lengths(spec, stream, tokenizer(stream.participant), None if lent is None else template(lent))

    first = spec.checkpoints[:1]
    lengths = {
        stream.name: lengths_of(stream)
        for stream in spec.streams.values()
        if stream.name not in spec.checkpoints[1:] and not participants[stream.participant].imported
    }
    for stream in spec.checkpoints[1:]:
        # Equal tokenizers render alike: no need to render every checkpoint's before the first sample.
        alike = participants[stream].tokenizer_digest == participants[first[0]].tokenizer_digest
        known = lengths[first[0]] if alike else None
        lengths[stream] = known or lengths_of(spec.streams[stream])
    return lengths


def _lengths(spec: AnalysisSpec, stream: Stream, tokenizer: Any, template: str | None) -> list[int]:
    lengths = []
    for prompt in spec.prompts:
        try:
            lengths.append(len(render_ids(tokenizer, prompt, stream.rendering, template)))
        except UnrenderablePrompt as error:
            worded = f", as arm {stream.arm!r} words it" if stream.is_arm else ""
            detail = f"prompt {prompt.id!r} cannot be rendered{worded}: {error}"
            raise AnalysisFault(error.code, detail, f"/prompts/inline/{prompt.index}") from error
    return lengths
