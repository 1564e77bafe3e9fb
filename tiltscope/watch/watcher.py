"""Analyses of checkpoints as they appear."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiltscope.documents import Analysis, Model
from tiltscope.errors import NotFoundError, SetupError, TiltscopeError
from tiltscope.registry import MODEL_ID, WANTED, add_model
from tiltscope.synchronous.client import Tiltscope
from tiltscope.watch.checkpoints import Print, found_in, what_is_missing

LABEL = "watch"
SECONDS_UNTIL_LISTED = 60.0
"""For a new model to appear in the registry, which is scanned every few seconds."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint with its analysis.

    Attributes:
        name: The checkpoint's folder.
        analysis: Its analysis, submitted now or found from before.
    """

    name: str
    analysis: Analysis


class Watcher:
    """Looks for whole checkpoints and sees to it that each has one analysis, over restarts too.

    Args:
        client: The service.
        folder: Where checkpoints appear.
        models: The folder that the service scans; checkpoints elsewhere are copied into it.
        request: The request but for its candidate.
        prefix: Put before a checkpoint's name to make its model id.
        say: Is told what stands in the way.
        patience: Seconds that a checkpoint may be missing in the registry, and hold up those behind it.
    """

    def __init__(
        self,
        client: Tiltscope,
        folder: Path,
        models: Path,
        request: Mapping[str, Any],
        *,
        prefix: str = "",
        say: Callable[[str], None] = lambda _: None,
        patience: float = SECONDS_UNTIL_LISTED,
    ) -> None:
        self._client = client
        self._folder = folder.resolve()
        self._models = models.resolve()
        self._request = dict(request)
        self._prefix = prefix
        self._say = say
        self._prints: dict[Path, Print] = {}
        self._said: dict[Path, str] = {}
        self._done: set[Path] = set()
        self._patience = patience
        self._unlisted: dict[Path, float] = {}

    def look(self) -> Iterator[Seen]:
        """Checkpoints that became whole since the last look and have an analysis now, in training order.

        A checkpoint counts as whole when its files are and none has changed since the look before. While the
        registry does not list one, those behind it wait too.
        """
        waiting = [checkpoint for checkpoint in found_in(self._folder) if checkpoint not in self._done]
        for checkpoint in [one for one in waiting if self._is_still(one)]:
            reference = self._request["reference"].get("model")
            if checkpoint.parent == self._models and checkpoint.name == reference:
                self._done.add(checkpoint)
                continue
            if why := what_is_missing(checkpoint):
                self._tell(checkpoint, why)
                continue
            try:
                model = self._registered(checkpoint)
            except SetupError as error:
                self._tell(checkpoint, str(error))
                continue
            if model is None:
                return
            self._said.pop(checkpoint, None)
            self._done.add(checkpoint)
            yield Seen(checkpoint.name, self._analysis(checkpoint.name, model))

    @property
    def waits_for(self) -> list[Path]:
        """Checkpoints that may become whole by themselves: nothing is known to stand in their way."""
        settled = self._done | set(self._said)
        return [checkpoint for checkpoint in found_in(self._folder) if checkpoint not in settled]

    def _is_still(self, checkpoint: Path) -> bool:
        now = Print.of(checkpoint)
        before = self._prints.get(checkpoint)
        self._prints[checkpoint] = now
        return now == before

    def _tell(self, checkpoint: Path, why: str) -> None:
        if self._said.get(checkpoint) != why:
            self._said[checkpoint] = why
            self._say(f"{checkpoint.name}: {why}")

    def _registered(self, checkpoint: Path) -> Model | None:
        name = f"{self._prefix}{checkpoint.name}"
        if checkpoint.parent != self._models:
            self._bring(checkpoint, name)
        elif MODEL_ID.fullmatch(name) is None:
            raise SetupError(f"{name!r} cannot be a model id: letters, digits, '.', '_' and '-' only")
        try:
            model = self._client.models.get(name)
        except NotFoundError:
            since = self._unlisted.setdefault(checkpoint, time.monotonic())
            if time.monotonic() - since > self._patience:
                raise SetupError(f"the service does not list {name}: does it scan {self._models}?") from None
            return None  # the registry has not been scanned since
        if model.status != "ready":
            raise SetupError(f"the service cannot load it: {model.detail}")
        return model

    def _bring(self, checkpoint: Path, name: str) -> None:
        target = self._models / name
        if not target.exists():
            add_model(self._models, name, str(checkpoint))
        elif _sizes(target) != _sizes(checkpoint):
            raise SetupError(f"{target} is another model: choose another --prefix, or remove it")

    def _analysis(self, name: str, model: Model) -> Analysis:
        """The analysis of these very weights by this very request: from before, or a new one."""
        request = {**self._request, "candidate": {"source": "model", "model": model.id}}
        digest = _digest([model.weights_digest, model.adapter_digest, self._request])
        for found in self._client.analyses.list(label=f"{LABEL}:{digest}", limit=1):
            return found
        request.setdefault("name", name)
        request["labels"] = {**request.get("labels", {}), LABEL: digest, "checkpoint": name}
        return self._client.analyses.submit(request, idempotency_key=f"{LABEL}-{digest}")


def _sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for pattern in WANTED for file in folder.glob(pattern)}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def outcome_of(client: Tiltscope, seen: Seen) -> dict[str, Any] | TiltscopeError:
    """The result document of a checkpoint once its analysis has ended, or why there is none."""
    try:
        return client.analyses.wait(seen.analysis.id).model_dump(mode="json", exclude_unset=True)
    except TiltscopeError as error:
        return error
