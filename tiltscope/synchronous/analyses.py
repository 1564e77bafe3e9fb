# Generated from tiltscope/asynchronous by `make openapi`: change that, not this file.
"""Analyses: what the service is for."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from tiltscope import payloads, requests
from tiltscope.connection import Call, key_header
from tiltscope.documents import (
    Analysis,
    AnalysisList,
    AnalysisPlan,
)
from tiltscope.progress import Observer, observed, require_result
from tiltscope.result import Result
from tiltscope.server_events import Event
from tiltscope.synchronous.datasets import Datasets
from tiltscope.synchronous.follow import Deadline, ended, events
from tiltscope.synchronous.outcomes import PATH, Outcomes
from tiltscope.synchronous.pages import Pages
from tiltscope.tracking.record import Record


class Analyses(Outcomes):
    """`client.analyses`."""

    def create(
        self,
        *,
        reference: requests.Participant,
        candidate: requests.Participant | None = None,
        candidates: Iterable[requests.Participant] | None = None,
        teacher: requests.Participant | None = None,
        prompts: requests.PromptSource | None = None,
        signal: str | Mapping[str, Any] = "exact",
        kind: str | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        policy: payloads.Policy | None = None,
        budget: payloads.Budget | None = None,
        decision: payloads.Decision | None = None,
        inverse_temperatures: Iterable[float] | None = None,
        deadline_seconds: int | None = None,
        seed: int | None = None,
        limit: int | None = None,
        idempotency_key: str | None = None,
        **more: Any,
    ) -> Analysis:
        """Submit an analysis; it runs on, whatever becomes of this client.

        Args:
            reference: Registry id of the model before post-training, or an import `imp_...`.
            candidate: The model after it.
            candidates: Several checkpoints in training order, for kind `trajectory`.
            teacher: The model that demonstrations were drawn from, for the signal `demonstrations`.
            prompts: A JSON Lines file, prompts, or a data set's id `ds_...`.
            signal: A verifier's kind such as `exact`, or its settings.
            kind: What to find; follows from the candidates by default.
            name: To find it by.
            labels: To filter by.
            policy: Decoding policy.
            budget: K_use, K_probe and samples.
            decision: Thresholds of the verdict.
            inverse_temperatures: 1/reward.
            deadline_seconds: When to give up.
            seed: Of every random stream.
            limit: Only the first so many prompts, for a quick look.
            idempotency_key: The same key never makes a second analysis; a new one by default.
            **more: Fields of the request that this client does not know by name.

        Raises:
            UsageError: the prompts cannot be read.
            InvalidRequestError: the service refused; `errors` has the places.
        """
        body = requests.analysis_request(
            reference=reference,
            candidate=candidate,
            candidates=candidates,
            teacher=teacher,
            prompts=prompts,
            signal=signal,
            kind=kind,
            limit=limit,
            name=name,
            labels=None if labels is None else dict(labels),
            policy=policy,
            budget=budget,
            decision=decision,
            inverse_temperatures=None if inverse_temperatures is None else list(inverse_temperatures),
            deadline_seconds=deadline_seconds,
            seed=seed,
            **more,
        )
        return self.submit(body, idempotency_key=idempotency_key)

    def submit(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Analysis:
        """Submit a request as the contract has it; a retry after a lost answer makes no second analysis.

        More inline prompts than a request may carry are kept as a data set first.
        """
        body = dict(request)
        inline = (body.get("prompts") or {}).get("inline")
        if inline is not None and len(inline) > requests.INLINE_PROMPTS:
            kept = Datasets(self._transport).create(inline)
            body["prompts"] = {"dataset": kept.id}
        call = Call("POST", PATH, json=body, headers=key_header(idempotency_key))
        return self._transport.document(call, Analysis)

    def plan(self, request: Mapping[str, Any] | None = None, **named: Any) -> AnalysisPlan:
        """What an analysis would draw, how long that would take and what it could show; nothing is stored.

        Args:
            request: A request as `submit` takes it; at most 1,000 inline prompts.
            **named: Or the same by the names that `create` has.

        Raises:
            InvalidRequestError: the service would refuse it; `errors` has the places.
        """
        body = requests.analysis_request(**named) if request is None else dict(request)
        call = Call("POST", PATH, {"validate_only": "true"}, json=body)
        return self._transport.document(call, AnalysisPlan)

    def get(self, analysis_id: str) -> Analysis:
        """The state of an analysis."""
        return self._transport.document(Call("GET", f"{PATH}/{analysis_id}"), Analysis)

    def list(
        self,
        *,
        status: str | None = None,
        kind: str | None = None,
        label: str | None = None,
        limit: int | None = None,
    ) -> Pages[Analysis]:
        """Analyses, newest first.

        Args:
            status: Only those in this status.
            kind: Only those of this kind.
            label: Only those with this label, as `key:value`.
            limit: At most so many.
        """
        params = {"status": status, "kind": kind, "label": label}
        call = Call("GET", PATH, params)
        return Pages(self._transport, call, AnalysisList, lambda page: page.data, limit)

    def update(
        self,
        analysis_id: str,
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        if_match: str = "*",
    ) -> Analysis:
        """Change the name or the labels; labels are replaced as a whole.

        Args:
            analysis_id: Its id.
            name: A new name.
            labels: New labels.
            if_match: Change only the version with this entity tag; by default any.

        Raises:
            ConflictError: it is at another version.
        """
        body: dict[str, Any] = {} if name is None else {"name": name}
        body |= {} if labels is None else {"labels": dict(labels)}
        call = Call("PATCH", f"{PATH}/{analysis_id}", json=body, headers={"If-Match": if_match})
        return self._transport.document(call, Analysis)

    def cancel(self, analysis_id: str) -> Analysis:
        """Ask for an end; what is committed is kept, and asking again changes nothing."""
        call = Call("POST", f"{PATH}/{analysis_id}/cancel", headers=key_header())
        return self._transport.document(call, Analysis)

    def extend(
        self,
        analysis_id: str,
        *,
        budget: payloads.LargerBudget | None = None,
        deadline_seconds: int | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> Analysis:
        """Go on with an analysis that has a result: only what the larger budget adds is sampled.

        Args:
            analysis_id: Its id.
            budget: What grows, such as `{"max_samples_per_prompt": 16384}`. Only one that ended early may go
                on under the budget it had.
            deadline_seconds: When to give up, from now.
            if_match: Extend only the version with this entity tag; by default any.
            idempotency_key: The same key never extends it twice; a new one by default.

        Raises:
            ConflictError: it is running, or has no result.
            InvalidRequestError: the budget is not larger.
        """
        body: dict[str, Any] = {} if budget is None else {"budget": dict(budget)}
        body |= {} if deadline_seconds is None else {"deadline_seconds": deadline_seconds}
        headers = key_header(idempotency_key) | ({} if if_match is None else {"If-Match": if_match})
        call = Call("POST", f"{PATH}/{analysis_id}/extend", json=body, headers=headers)
        return self._transport.document(call, Analysis)

    def delete(self, analysis_id: str) -> None:
        """Remove a finished analysis and its files."""
        self._transport.send(Call("DELETE", f"{PATH}/{analysis_id}"))

    def events(self, analysis_id: str, *, after: int = 0) -> Iterator[Event]:
        """What happens to an analysis, event by event until it ends, over broken connections too.

        Args:
            analysis_id: Its id.
            after: Leave out events up to this number.
        """
        yield from events(self._transport, analysis_id, after, Deadline(analysis_id, None))

    def wait(
        self, analysis_id: str, *, progress: bool | Observer = False, timeout: float | None = None
    ) -> Result:
        """Wait for the end of an analysis and fetch its result.

        Args:
            analysis_id: Its id.
            progress: True shows a bar, in a terminal or a notebook; or a function of the state so far.
            timeout: Seconds to wait at most.

        Raises:
            WaitTimeoutError: the time is over; the analysis goes on.
            AnalysisError: it ended without a result.
        """
        self.until_ended(analysis_id, progress=progress, timeout=timeout)
        return self.result(analysis_id)

    def until_ended(
        self, analysis_id: str, *, progress: bool | Observer = False, timeout: float | None = None
    ) -> Analysis:
        """Like `wait`, but fetches no result.

        Raises:
            WaitTimeoutError: the time is over; the analysis goes on.
            AnalysisError: it ended without a result.
        """
        deadline = Deadline(analysis_id, timeout)
        with ExitStack() as shown:
            tell = shown.enter_context(observed(analysis_id, progress))
            for event in ended(self._transport, analysis_id, deadline):
                tell(event)
        analysis = self.get(analysis_id)
        require_result(analysis)
        return analysis

    def record(self, analysis_id: str) -> Record:
        """Everything that an experiment tracker keeps: `tiltscope.tracking` logs it to MLflow or W&B."""
        return Record(
            analysis=self.get(analysis_id),
            result=self.result(analysis_id),
            prompts=self.prompts(analysis_id).all(),
            report=self.report(analysis_id),
        )
