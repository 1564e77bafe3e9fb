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


@pytest.fixture(scope="package")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped models, and one whose tokenizer is another."""
    from tiny_models import build_tiny_model

    folder = tmp_path_factory.mktemp("registry") / "models"
    shutil.copytree(EXAMPLES / "models", folder)
    build_tiny_model(folder / "other-tokenizer", vocabulary="=+0123456789")
    return folder


@pytest.fixture(scope="package")
def start_stack(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Callable[..., EmbeddedStack]:
    """Starts a service on a new home; whoever starts one stops it."""

    def start(**options: Any) -> EmbeddedStack:
        # Shards of under a second, a dozen and more an analysis: something is always under way.
        # Many tests submit the same analysis to see it work, not to see it found.
        cold = {"TILTSCOPE_SAMPLE_CACHE": "0"}
        shards = {"TILTSCOPE_SHARD_TOKENS": "800", "TILTSCOPE_BATCH_SIZE": "8", **cold}
        return EmbeddedStack(tmp_path_factory.mktemp("home"), model_folder, **{**shards, **options})

    return start


@pytest.fixture(scope="package")
def stack(start_stack: Callable[..., EmbeddedStack]) -> Iterator[EmbeddedStack]:
    """One service for all, with one worker that decodes 8 sequences at a time."""
    with ExitStack() as ending:
        running = start_stack()
        ending.callback(running.stop)
        yield running


@pytest.fixture(scope="package")
def prompts() -> Callable[[str, int, int], list[dict[str, Any]]]:
    """Prompts of a shipped file, by position."""

    def some(name: str, first: int, last: int) -> list[dict[str, Any]]:
        return read_prompts(EXAMPLES / "prompts" / f"{name}.jsonl")[first:last]

    return some


@pytest.fixture(scope="package")
def comparison(prompts: Callable[..., Any]) -> dict[str, Any]:
    """A small analysis of several rounds: three prompts from the tail, three from the basin."""
    return {
        "kind": "capability",
        "reference": {"source": "model", "model": "tiny-base"},
        "candidate": {"source": "model", "model": "tiny-grpo"},
        "prompts": {"inline": prompts("basin_tail", 11, 17)},
        "signal": {"kind": "exact"},
        "budget": {"k_use": 4, "k_probe": 32, "samples_per_prompt": 32, "max_samples_per_prompt": 256},
        "seed": 11,
    }


@pytest.fixture(scope="package")
def undisturbed(stack: EmbeddedStack, comparison: dict[str, Any]) -> Findings:
    """What the comparison finds when nothing goes wrong."""
    return stack.findings(stack.submit(comparison))
