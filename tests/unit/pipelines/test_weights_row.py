import numpy as np
import pytest
from planted import planted, planted_run

from workers.pipelines.prompt_rows import prompt_rows

BUDGET = {"samples_per_prompt": 16, "max_samples_per_prompt": 4096}


def test_a_row_tells_how_far_its_weights_can_be_trusted(results_of):
    """Against the definition, from the densities of the same samples."""
    run = planted_run((planted("a", 0.4, 0.7), planted("b", 0.2, 0.9)), budget=BUDGET)
    results = results_of(run)
    for row, result in zip(prompt_rows(run.spec, results, None), results, strict=True):
        pair, found = result.observed.pair, row["weights"]
        mixture = 0.5 * np.exp(pair.log_p) + 0.5 * np.exp(pair.log_q)
        w = (np.exp(pair.log_p) / mixture)[pair.correct]
        assert (found["draws"], found["successes"]) == (32, len(w))
        assert found["ess"] == pytest.approx(w.sum() ** 2 / (w**2).sum())
        assert found["largest_share"] == pytest.approx(w.max() / w.sum())
        assert found["log_spread"] == pytest.approx(np.log(w).std(ddof=1))
        assert found["log_range"] == pytest.approx(np.log(w.max() / w.min()))
        assert found["status"] == "ok"


def test_few_successes_are_no_ground_to_rely_on(results_of):
    run = planted_run((planted("a", 0.01, 0.2), planted("none", 1e-9, 0.0)), budget=BUDGET)
    few, none = (row["weights"] for row in prompt_rows(run.spec, results_of(run), None))
    assert few["status"] == "unreliable"
    assert "effective sample size" in few["reason"]
    assert (none["successes"], none["largest_share"], none["status"]) == (0, None, "undefined")
