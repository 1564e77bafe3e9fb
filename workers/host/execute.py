"""Running one shard: read what it needs, call the pipeline, store what it made."""

import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import structlog

# A host imports them before it is ready, so that the first analysis does not wait for them: transformers
# itself puts off some 1,200 modules until it loads a tokenizer or a model.
import transformers.generation.utils
import transformers.modeling_utils  # noqa: F401

from api_schemas.results import ResultDocument
from api_schemas.rows import PromptRow
from ledger.states import MODEL_WORKS
from workers.engines.batch_memory import BatchLimits, BatchMemory
from workers.engines.known_answer import known_answer
from workers.host.context import HostContext
from workers.host.engine_room import device
from workers.host.imports import imported_samples, run_import
from workers.host.rendering import chat_template, prompt_lengths
from workers.host.result_files import result_files
from workers.host.shard import Message, Shard
from workers.host.shard_size import shard_tokens
from workers.pipelines.audit import audited
from workers.pipelines.cached import merged, present_samples
from workers.pipelines.checkpoints import plan_following
from workers.pipelines.demonstrations import demonstration_items, judged_by_ids
from workers.pipelines.extension import extended_notices, plan_missing
from workers.pipelines.plan import RoundPlan, plan_pilot
from workers.pipelines.sample import sample_items
from workers.pipelines.score import score_samples
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.trajectory import finalise_analysis
from workers.pipelines.verify import verify_samples
from workers.reports.html import render_report
from workers.settings import Settings

log = structlog.get_logger(__name__)

Reply = dict[str, Any]


def probe() -> str | None:
    """Whether the device computes what it should; what is wrong, or None.

    A host without models leaves the GPU alone: to look at it alone takes half a gigabyte of it.
    """
    return known_answer(device() if Settings().works & MODEL_WORKS else "cpu")


def execute(message: Message, context: HostContext) -> Reply:
    """Run a shard.

    Args:
        message: The supervisor's `run` message.
        context: Store, settings, progress and abort of this process.

    Returns:
        The body of the `done` event.

    Raises:
        AnalysisFault: the analysis cannot go on, whoever runs it.
        Aborted: the supervisor asked to stop.
    """
    started = time.monotonic()
    if message["analysis"]["kind"] == "import":
        reply = run_import(message, context)
    else:
        shard = Shard(message, context)
        reply = WORKS[message["shard"]["work"]](shard)
        context.resident = shard.room.resident
    usage = {"samples": 0, "sampled_tokens": 0, "scored_tokens": 0, "cached_samples": 0, **reply["usage"]}
    return {**reply, "usage": {**usage, "engine_seconds": time.monotonic() - started}}


def _sample(shard: Shard) -> Reply:
    context, settings = shard.context, shard.context.settings
    stream = shard.spec.streams[shard.row["stream"]]
    if stream.name in shard.sides.imported:
        side = shard.sides.imported[stream.name]
        table = imported_samples(shard.spec, stream.name, shard.items, side.loaded, side.rows)
        return {"artefact": shard.table(table), "usage": {}}
    model = shard.room.get(shard.participants[stream.participant])
    if stream.role == "demonstrations":
        given = demonstration_items(
            shard.spec, shard.items, model, should_stop=context.aborted, on_progress=context.progress
        )
        return {"artefact": shard.table(given), "usage": {"scored_tokens": _tokens(given)}}
    template = chat_template(shard.room, shard.participants, stream)
    known = present_samples(
        shard.spec, stream.name, shard.items, model, shard.cached_samples(), chat_template=template
    )
    limits = BatchLimits.of(model, settings.batch_size, settings.batch_tokens)
    drawn = sample_items(
        shard.spec,
        stream.name,
        known.missing,
        model,
        chat_template=template,
        batch_size=limits.rows,
        batch_tokens=limits.tokens,
        should_stop=context.aborted,
        on_progress=lambda done: context.progress(known.samples.num_rows + done),
        memory=context.cache.setdefault("batch_memory", BatchMemory()),
        tunes=(model.device.type == "cuda") if settings.batch_tuning is None else settings.batch_tuning,
    )
    usage = {
        "samples": drawn.num_rows,
        "sampled_tokens": _tokens(drawn),
        "cached_samples": known.samples.num_rows,
        "cached_tokens": _tokens(known.samples),
    }
    keys = shard.message.get("draw_keys", ())
    return {
        "artefact": shard.table(merged(shard.items, [known.samples, drawn])),
        "usage": usage,
        "drawn": [(key, low, high) for key, (_, low, high) in zip(keys, shard.items, strict=False)],
    }


def _tokens(samples: pa.Table) -> int:
    return sum(map(len, samples["token_ids"].to_pylist()))


def _verify(shard: Shard) -> Reply:
    def progress(done: int) -> None:
        shard.stop_if_asked()
        shard.context.progress(done)

    table = verify_samples(_verified_by(shard), shard.drawn_samples(), progress, shard.judge)
    return {"artefact": shard.table(table), "usage": {}}


def _verified_by(shard: Shard) -> AnalysisSpec:
    """The analysis as its samples are judged: demonstrations by token ids, where a model drew them."""
    spec = shard.spec
    writer = shard.participants[spec.streams[shard.row["stream"]].participant]
    if spec.signal["kind"] != "demonstrations" or writer.imported:
        return spec
    return judged_by_ids(spec, shard.room.tokenizer(writer), (prompt for prompt, _, _ in shard.items))


def _score(shard: Shard) -> Reply:
    samples, row = shard.drawn_samples(), shard.row
    table = score_samples(
        shard.spec,
        samples,
        row["scorer"],
        shard.room.get(shard.participants[shard.spec.streams[row["stream"]].participant]),
        shard.room.get(shard.participants[row["scorer"]]),
        should_stop=shard.context.aborted,
        on_progress=shard.context.progress,
    )
    tokens = sum(map(len, samples["token_ids"].to_pylist()))
    return {"artefact": shard.table(table), "usage": {"scored_tokens": tokens}}


def _plan(shard: Shard) -> Reply:
    spec, settings = shard.spec, shard.context.settings
    tokens = shard_tokens(settings.shard_tokens, settings.shard_seconds, shard.message.get("pace"))
    if shard.row["round"] == 0:
        lengths = prompt_lengths(spec, shard.room, shard.participants)
        plan = plan_pilot(spec, shard.participants, lengths, shard_tokens=tokens)
    else:
        plan = plan_missing(
            spec,
            shard.participants,
            shard.message["inputs"],
            shard.message["failures"],
            shard_tokens=tokens,
        ) or _following(shard, tokens)
    return {
        "artefact": None,
        "usage": {},
        "next_shards": [planned.to_message() for planned in plan.shards],
        "phase": plan.phase,
        "warnings": [
            {"code": notice.code, "detail": notice.detail}
            for notice in (*(shard.sides.notices if shard.row["round"] == 0 else ()), *plan.notices)
        ],
    }


def _following(shard: Shard, tokens: int) -> RoundPlan:
    message = shard.message
    return plan_following(
        audited(shard.spec, shard.judge),
        shard.participants,
        shard.committed(with_samples=False),
        message["inputs"],
        message["failures"],
        sampled_tokens=message["analysis"]["drawn_tokens"],
        shard_tokens=tokens,
    )


def _finalise(shard: Shard) -> Reply:
    message = shard.message
    revision = message["analysis"]["revision"]
    committed = shard.committed(with_samples=True)
    findings = finalise_analysis(
        shard.spec,
        shard.participants,
        committed,
        analysis_id=message["analysis"]["id"],
        usage=message["analysis"]["usage"],
        partial=message["partial"],
        judge=shard.judge,
        noted=(*shard.sides.notices, *extended_notices(revision)),
    )
    found = ResultDocument.model_validate({**findings.document, "revision": revision})
    document = found.model_dump(mode="json", exclude_unset=True)
    rows = [PromptRow.model_validate(r).model_dump(mode="json", exclude_unset=True) for r in findings.rows]
    shard.stop_if_asked()
    name = message["analysis"]["name"]
    report, warnings = _report(document, rows, name or message["analysis"]["id"])
    files = result_files(document, rows, committed, report)
    artifacts = {
        name: {**shard.store(name, data), "media_type": media_type}
        for name, (data, media_type) in files.items()
    }
    return {
        "artefact": None,
        "usage": {},
        "artifacts": artifacts,
        "warnings": warnings,
        "verdict": findings.verdict,
    }


def _report(
    document: dict[str, Any], rows: list[dict[str, Any]], title: str
) -> tuple[str | None, list[dict[str, str]]]:
    """The report, or why there is none: a fault of its drawing must not cost the result."""
    try:
        return render_report(document, rows, title=title), []
    except Exception as error:
        log.exception("report_failed", analysis=document["analysis_id"])
        detail = (
            f"the HTML report could not be drawn ({type(error).__qualname__}); result and rows are complete"
        )
        return None, [{"code": "report_failed", "detail": detail}]


WORKS: dict[str, Callable[[Shard], Reply]] = {
    "sample": _sample,
    "verify": _verify,
    "score": _score,
    "plan": _plan,
    "finalise": _finalise,
}
