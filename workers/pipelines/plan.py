"""What to do next: the pilot, a top-up where a verdict may change, or the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.errors import AnalysisFault
from workers.pipelines.observations import PromptObservations
from workers.pipelines.participants import Participant, are_identical, share_tokenizer
from workers.pipelines.shards import FINALISE, Item, ShardPlan, sampling_round
from workers.pipelines.spec import CANDIDATE, REFERENCE, TEACHER, AnalysisSpec
from workers.pipelines.streams import DEMONSTRATIONS, UNTRUNCATED, Stream
from workers.pipelines.topup import token_allowance, wanted_samples


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a reader must know before quoting a number."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """The next round.

    Attributes:
        shards: Its shards; a single `finalise` ends the analysis.
        phase: What the analysis does meanwhile.
        notices: Warnings found while planning.
    """

    shards: tuple[ShardPlan, ...]
    phase: str
    notices: tuple[Notice, ...] = ()


def plan_pilot(
    spec: AnalysisSpec,
    participants: Mapping[str, Participant],
    prompt_lengths: Mapping[str, Sequence[int]],
    *,
    shard_tokens: int,
) -> RoundPlan:
    """The fixed-size pilot: every prompt on every side, scored both ways where tokenizers agree.

    Args:
        spec: The analysis.
        participants: Models by name.
        prompt_lengths: Tokens of each rendered prompt, by stream.
        shard_tokens: New tokens a shard may draw at most, unless one sample needs more.

    Raises:
        AnalysisFault: a prompt does not fit a context.
    """
    scored_by = scorers(spec, participants)
    for stream, lengths in prompt_lengths.items():
        source = spec.streams[stream]
        for reader in (source.participant, *scored_by.get(stream, ())):
            _require_room(spec, source, participants[reader], lengths)
    wanted: dict[str, list[Item]] = {
        stream: [(p.index, 0, spec.pilot(stream, p.index)) for p in spec.prompts] for stream in spec.piloted
    }
    shards = sampling_round(
        wanted,
        scored_by=scored_by,
        model_keys=model_keys(spec, participants),
        max_rows={s: rows_per_shard(spec, shard_tokens, s) for s in spec.streams},
    )
    notices = [] if spec.checkpoints else comparison_notices(participants)
    return RoundPlan(tuple(shards), "sampling", tuple(notices))


def plan_next(
    spec: AnalysisSpec,
    participants: Mapping[str, Participant],
    observations: Sequence[PromptObservations],
    drawn: Mapping[str, Sequence[int]],
    *,
    sampled_tokens: int,
    shard_tokens: int,
) -> RoundPlan:
    """The round after a finished one.

    Args:
        spec: The analysis.
        participants: Models by stream.
        observations: What the committed rounds showed, one a prompt.
        drawn: Samples planned so far, by stream and prompt, failures included.
        sampled_tokens: New tokens drawn so far.
        shard_tokens: As in `plan_pilot`.
    """
    if not spec.budget.adaptive:
        return RoundPlan((FINALISE,), "estimating")
    more = wanted_samples(spec, observations, drawn)
    return plan_more(
        spec, participants, more, drawn, sampled_tokens=sampled_tokens, shard_tokens=shard_tokens
    )


def plan_more(
    spec: AnalysisSpec,
    participants: Mapping[str, Participant],
    more: Mapping[str, Sequence[int]],
    drawn: Mapping[str, Sequence[int]],
    *,
    sampled_tokens: int,
    shard_tokens: int,
) -> RoundPlan:
    """The round that draws and judges further samples, within the token budget; the end if there are none.

    Nothing of it is scored before it was judged: see `success_scoring`.

    Args:
        spec: The analysis.
        participants: Models by stream.
        more: Samples wanted, by stream and prompt.
        drawn: Samples planned so far, by stream and prompt, failures included.
        sampled_tokens: New tokens drawn so far.
        shard_tokens: As in `plan_pilot`.
    """
    more = token_allowance(spec, more, drawn, sampled_tokens)
    wanted = {
        stream: [
            (prompt, drawn[stream][prompt], drawn[stream][prompt] + count)
            for prompt, count in enumerate(counts)
            if count
        ]
        for stream, counts in more.items()
    }
    shards = sampling_round(
        wanted,
        scored_by={},
        model_keys=model_keys(spec, participants),
        max_rows={s: rows_per_shard(spec, shard_tokens, s) for s in spec.streams},
    )
    if not shards:
        return RoundPlan((FINALISE,), "estimating")
    return RoundPlan(tuple(shards), "sampling")


def rows_per_shard(spec: AnalysisSpec, shard_tokens: int, stream: str = REFERENCE) -> int:
    """Samples a shard of a stream holds at most."""
    return max(1, shard_tokens // spec.streams[stream].policy.max_new_tokens)


def scorers(spec: AnalysisSpec, participants: Mapping[str, Participant]) -> dict[str, list[str]]:
    """Who scores what, where tokenizers agree.

    The reference and each candidate score each other's pilot, the teacher those of both, and all of them the
    demonstrations, which are the reference's to write.
    """
    teachers = [TEACHER] if share_tokenizer(participants, TEACHER) else []
    candidates = [s for s in spec.sides if s != REFERENCE and share_tokenizer(participants, s)]
    raw = [UNTRUNCATED] if UNTRUNCATED in spec.streams and CANDIDATE in candidates else []
    given = {DEMONSTRATIONS: [*candidates, *teachers]} if DEMONSTRATIONS in spec.streams else {}
    beside = _neighbours(candidates) if spec.score_neighbours else {}
    others = {stream: [REFERENCE, *beside.get(stream, ()), *teachers] for stream in (*candidates, *raw)}
    return {REFERENCE: [*candidates, *teachers], **others, **given}


def _neighbours(checkpoints: Sequence[str]) -> dict[str, list[str]]:
    """The checkpoints beside each, in training order; all share the reference's tokenizer."""
    return {
        one: [*checkpoints[max(place - 1, 0) : place], *checkpoints[place + 1 : place + 2]]
        for place, one in enumerate(checkpoints)
    }


def model_keys(spec: AnalysisSpec, participants: Mapping[str, Participant]) -> dict[str, str]:
    """Key of the model that draws in each stream, and of those that only score; an imported side has none."""
    drawing = {name: participants[s.participant] for name, s in spec.streams.items()}
    named = {**participants, **drawing}
    return {name: model.model_key for name, model in named.items() if not model.imported}


def _require_room(
    spec: AnalysisSpec, stream: Stream, participant: Participant, lengths: Sequence[int]
) -> None:
    context, new_tokens = participant.context_length, stream.policy.max_new_tokens
    worded = f" as arm {stream.arm!r} words it" if stream.is_arm else ""
    if context is None:
        return
    for prompt, length in zip(spec.prompts, lengths, strict=True):
        if length + new_tokens > context:
            raise AnalysisFault(
                "prompt_too_long",
                f"prompt {prompt.id!r} has {length} tokens{worded} under the tokenizer of "
                f"{participant.model_id!r}; with max_new_tokens {new_tokens} that exceeds its context of "
                f"{context}. Shorten the prompt or lower max_new_tokens",
                f"/prompts/inline/{prompt.index}",
            )


def comparison_notices(participants: Mapping[str, Participant]) -> list[Notice]:
    """What the two models' identities already say about the comparison."""
    notices = []
    if any(side.imported for side in participants.values()):
        if participants[REFERENCE].imported:
            notices.append(
                Notice(
                    "imported_reference",
                    "the reference is a log, which no arm can draw from: what is out of its reach is so for "
                    "the policy that its log was drawn with, and perhaps under no other",
                )
            )
        notices.append(
            Notice(
                "imported_samples",
                "imported samples have no scores under the other side's model: KL, drift, escape and scoring "
                "evidence are undefined, and only count-based terms are reported; nothing is added to them",
            )
        )
    elif CANDIDATE in participants and not share_tokenizer(participants):
        notices.append(
            Notice(
                "tokenizers_differ",
                "the two sides have different tokenizers: KL, drift, escape and scoring evidence are "
                "refused, and only count-based terms are reported",
            )
        )
    if are_identical(participants):
        notices.append(
            Notice(
                "identical_models",
                "reference and candidate are the same model by content: this is an A/A comparison (if it "
                "should not be, an adapter may not have been applied)",
            )
        )
    return notices
