"""What decoding is held beside draws from the same law, or the ratio would say nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.performance import decode
from benchmarks.performance.kv_loop import kv_loop
from benchmarks.performance.random_models import Shape, build
from benchmarks.performance.session import CheckFailed, Session
from workers.engines.loading import load_engine
from workers.engines.transformers_engine import TransformersEngine

SMALL = Shape(vocabulary=32, width=16, inner=32, layers=2, heads=2, key_heads=1)
PROMPT = [3, 1, 4, 1, 5]


def small_engine(folder: Path) -> TransformersEngine:
    engine = load_engine(build(folder, SMALL, seed=1))
    engine.eos_ids = frozenset()
    return engine


def test_the_bare_loop_draws_from_the_law_of_a_whole_forward(tmp_path: Path) -> None:
    engine = small_engine(tmp_path / "model")
    torch.manual_seed(7)
    ids, chances = kv_loop(engine, PROMPT, new=6, sequences=9)
    whole = torch.cat([torch.tensor([PROMPT]).expand(9, -1), ids], dim=1)
    with torch.inference_mode():
        law = engine.model(input_ids=whole).logits[:, len(PROMPT) - 1 : -1].log_softmax(-1)
    assert ids.shape == chances.shape == (9, 6)
    assert len({tuple(row) for row in ids.tolist()}) == 9
    np.testing.assert_allclose(chances, law.gather(-1, ids.unsqueeze(-1)).squeeze(-1), atol=1e-5)


def test_a_bare_loop_with_another_law_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = small_engine(tmp_path / "model")
    session = Session("decode", quick=True, scratch=tmp_path, report=lambda line: None)
    prompt = session.rng("prompt").integers(0, SMALL.vocabulary - 1, decode.PROMPT).tolist()
    decode.check_answers(session, "small", engine, prompt)
    assert all(check.passed for check in session.checks)

    def warmer(
        engine: TransformersEngine, prompt: list[int], new: int, sequences: int
    ) -> tuple[Tensor, Tensor]:
        ids, chances = kv_loop(engine, prompt, new, sequences)
        return ids, chances / 1.001

    monkeypatch.setattr(decode, "kv_loop", warmer)
    with pytest.raises(CheckFailed, match="bare loop"):
        decode.check_answers(session, "small", engine, prompt)
