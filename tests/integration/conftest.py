"""The shipped models behind the real service: gateway, redis-server, Celery worker, reconciler, engine."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from embedded_stack import EmbeddedStack, Findings

from tiltscope.requests import read_prompts

EXAMPLES = Path(__file__).parents[2] / "examples"
STUDY_SETTINGS = {"TILTSCOPE_SHARD_TOKENS": "2000", "TILTSCOPE_BATCH_SIZE": "8"}
"""Shards of about a second, a dozen a round: something is always under way."""


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped models, and one whose tokenizer is another."""
    from tiny_models import build_tiny_model

    folder = tmp_path_factory.mktemp("registry") / "models"
    shutil.copytree(EXAMPLES / "models", folder)
    build_tiny_model(folder / "other-tokenizer", vocabulary="=+0123456789")
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[Callable[..., Any]]:
    """Starts services that end with the module."""
    with ExitStack() as running:

        def begin(**options: Any) -> EmbeddedStack:
            stack = EmbeddedStack(tmp_path_factory.mktemp("home"), model_folder, **options)
            running.callback(stack.stop)
            return stack

        yield begin


@pytest.fixture(scope="session")
def prompts() -> Callable[[str, int, int], list[dict[str, Any]]]:
    """Prompts of a shipped file, by position."""

    def some(name: str, first: int, last: int) -> list[dict[str, Any]]:
        return read_prompts(EXAMPLES / "prompts" / f"{name}.jsonl")[first:last]

    return some


@pytest.fixture(scope="session")
def comparison(prompts: Callable[..., Any]) -> dict[str, Any]:
    """A small analysis that takes a few seconds."""
    return {
        "kind": "capability",
        "reference": {"source": "model", "model": "tiny-base"},
        "candidate": {"source": "model", "model": "tiny-grpo"},
        "prompts": {"inline": prompts("basin_tail", 11, 17)},
        "signal": {"kind": "exact"},
        "budget": {"k_use": 4, "k_probe": 32, "samples_per_prompt": 32, "max_samples_per_prompt": 256},
    }


@pytest.fixture(scope="session")
def study(comparison: dict[str, Any], prompts: Callable[..., Any]) -> dict[str, Any]:
    """An analysis of many shards in several rounds, which other settings and faults must not change."""
    budget = comparison["budget"] | {"samples_per_prompt": 48}
    return {**comparison, "prompts": {"inline": prompts("basin_tail", 8, 20)}, "budget": budget, "seed": 11}


@pytest.fixture(scope="session")
def study_settings() -> dict[str, str]:
    return STUDY_SETTINGS


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, model_folder: Path, study: dict[str, Any]
) -> Findings:
    """What the study finds with one worker, batches of 8 and nothing going wrong."""
    stack = EmbeddedStack(tmp_path_factory.mktemp("undisturbed"), model_folder, **STUDY_SETTINGS)
    try:
        return stack.findings(stack.submit(study))
    finally:
        stack.stop()
