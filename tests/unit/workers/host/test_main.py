import json
import os
import sys

import pytest

from ledger.artefacts import ArtefactStore
from ledger.errors import ArtefactCorrupt, ArtefactMissing, StoreUnavailable
from workers.errors import Aborted, AnalysisFault, WorkerError
from workers.host.context import HostContext
from workers.host.main import answer, load
from workers.settings import Settings
from workers.supervisor.engine_host import EngineHost

MESSAGE = {
    "op": "run",
    "shard": {"id": "shd_1"},
    "analysis": {"id": "anl_1", "revision": 1, "spec": {}},
}


class PromptTooLong(WorkerError):
    code = "prompt_too_long"


class EngineAborted(WorkerError):
    code = "aborted"


class AcceleratorError(RuntimeError):
    pass


class OutOfMemoryError(RuntimeError):
    pass


@pytest.fixture
def context(tmp_path):
    return HostContext(
        store=ArtefactStore(tmp_path),
        settings=Settings(home=tmp_path),
        report=lambda completed: None,
        asked_to_stop=lambda: False,
        resident=["b", "a"],
    )


def raising(error):
    def execute(message, context):
        raise error

    return execute


def test_a_result_is_sent_with_what_is_resident(context):
    reply = answer(lambda message, context: {"usage": {"samples": 3}}, MESSAGE, context)
    assert reply == {"event": "done", "usage": {"samples": 3}, "resident": ["a", "b"], "fit": True}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            AnalysisFault("unrenderable_prompt", "no template", "/prompts/inline/3"),
            {"event": "failed", "kind": "analysis", "code": "unrenderable_prompt", "detail": "no template"}
            | {"pointer": "/prompts/inline/3", "retryable": False},
        ),
        (
            AnalysisFault("model_changed", "replaced"),
            {"event": "failed", "kind": "analysis", "code": "model_changed", "detail": "replaced"}
            | {"retryable": False},
        ),
        (
            ArtefactMissing("default/a/b is not in the store"),
            {"event": "failed", "kind": "analysis", "code": "artefact_missing", "retryable": False}
            | {"detail": "a committed artefact was damaged: default/a/b is not in the store"},
        ),
        (
            ArtefactCorrupt("default/a/b does not have the recorded hash"),
            {"event": "failed", "kind": "analysis", "code": "artefact_corrupt", "retryable": False}
            | {"detail": "a committed artefact was damaged: default/a/b does not have the recorded hash"},
        ),
        (
            StoreUnavailable("the artefact disk refuses: No space left on device"),
            {"event": "failed", "kind": "store", "code": "store_unavailable", "retryable": True}
            | {"detail": "the artefact disk refuses: No space left on device"},
        ),
        (
            OutOfMemoryError("CUDA out of memory"),
            {"event": "failed", "kind": "shard", "code": "insufficient_memory", "retryable": True}
            | {"detail": "OutOfMemoryError"},
        ),
        (Aborted("asked"), {"event": "aborted"}),
        (EngineAborted("asked"), {"event": "aborted"}),
        (
            PromptTooLong("70 tokens"),
            {"event": "failed", "kind": "shard", "code": "prompt_too_long", "detail": "70 tokens"}
            | {"retryable": False},
        ),
        (
            ZeroDivisionError("the prompt was: secret"),
            {"event": "failed", "kind": "shard", "code": "internal_error", "detail": "ZeroDivisionError"}
            | {"retryable": True},
        ),
    ],
)
def test_each_kind_of_error_has_its_event(context, error, expected):
    assert answer(raising(error), MESSAGE, context) == {"resident": ["a", "b"], "fit": True, **expected}


@pytest.mark.parametrize(
    ("error", "fit"),
    [
        (AcceleratorError("device-side assert"), False),
        (RuntimeError("CUDA error: an illegal memory access"), False),
        (OutOfMemoryError("CUDA error: out of memory"), True),
        (RuntimeError("shapes differ"), True),
    ],
)
def test_a_poisoned_device_ends_the_process(context, error, fit):
    assert answer(raising(error), MESSAGE, context)["fit"] is fit


def test_a_result_that_json_cannot_say_fails_the_shard_alone(context):
    reply = answer(lambda message, context: {"usage": {"samples": float("nan")}}, MESSAGE, context)
    assert (reply["event"], reply["detail"]) == ("failed", "ValueError")
    json.dumps(reply, allow_nan=False)


def test_a_host_that_is_ready_collects_no_garbage_among_its_imports(tmp_path):
    (tmp_path / "counting.py").write_text(
        "import gc\nkept = []\n"
        "def execute(message, context):\n"
        "    return {'usage': {}, 'walked': sum(each is kept for each in gc.get_objects())}\n"
    )
    program = [sys.executable, "-m", "workers.host.main", "--execute", "counting:execute"]
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    host = EngineHost(program, os.environ | {"PYTHONPATH": path, "TILTSCOPE_HOME": str(tmp_path)})
    try:
        assert host.is_ready(60)
        host.run(MESSAGE)
        done = host.receive(60)
    finally:
        host.kill()
    assert (done["event"], done["walked"]) == ("done", 0)


def test_the_function_is_found_by_name():
    assert load("workers.host.main:load") is load
