import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workers.host.result_files import result_files
from workers.pipelines.committed import Committed
from workers.pipelines.tables import OUTCOMES, SAMPLES, SCORES

DRAWN = [("candidate", 0, 0), ("candidate", 1, 0), ("reference", 0, 0), ("reference", 0, 1)]


def sample(stream, prompt, index):
    return {
        "prompt_index": prompt,
        "prompt_id": f"p{prompt}",
        "stream": stream,
        "stream_key": "k",
        "index": index,
        "token_ids": [1],
        "logprobs": [-0.5],
        "finish_reason": "eos",
        "text": f"{stream} {prompt} {index}",
    }


def judged(stream, prompt, index):
    return {"stream": stream, "prompt_index": prompt, "index": index, "outcome": "correct", "reward": prompt}


@pytest.mark.parametrize("judged_samples", [DRAWN, DRAWN[1:], DRAWN[:1] + DRAWN[2:], DRAWN[::-1], []])
def test_each_sample_has_its_own_outcome_and_one_that_was_not_judged_has_none(judged_samples):
    committed = Committed(
        samples=pa.Table.from_pylist([sample(*one) for one in DRAWN], schema=SAMPLES),
        outcomes=pa.Table.from_pylist([judged(*one) for one in judged_samples], schema=OUTCOMES),
        scores=SCORES.empty_table(),
        drawn={},
    )
    data, _ = result_files({}, [], committed, None)["samples.parquet"]
    rows = pq.read_table(io.BytesIO(data)).to_pylist()
    assert [row["text"] for row in rows] == [f"{s} {p} {i}" for s, p, i in DRAWN]
    known = [(row["outcome"], row["reward"]) for row in rows]
    assert known == [("correct", float(one[1])) if one in judged_samples else (None, None) for one in DRAWN]
