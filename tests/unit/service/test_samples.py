import csv
import gzip
import io
import itertools
import json
import os
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from workers.pipelines import sample_pages as pages
from workers.pipelines.sample_pages import sample_pages
from workers.pipelines.tables import OUTCOMES, SAMPLES

COLUMNS = [*SAMPLES, *(OUTCOMES.field(name) for name in ("outcome", "reward", "behaviour", "detail"))]
OUTCOME = ("correct", "incorrect", "incorrect", "unparsed", None)
TEXTS = ("105", "=1+1", "two\nlines", "a\u2028b", "-5", '"quoted", too', "")


def judged(counts: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    """Samples of each (side, prompt), with texts and outcomes that differ."""
    variety = itertools.cycle(TEXTS)
    return [
        {
            "prompt_index": int(prompt[1:]),
            "prompt_id": prompt,
            "stream": side,
            "stream_key": "k",
            "index": index,
            "token_ids": [1, 2],
            "logprobs": [-0.5, -0.25],
            "finish_reason": "eos",
            "text": next(variety),
            "outcome": OUTCOME[index % len(OUTCOME)],
            "reward": float(index % len(OUTCOME) == 0),
            "behaviour": "short" if index == 0 else None,
            "detail": None,
        }
        for (side, prompt), count in counts.items()
        for index in range(count)
    ]


ROWS = judged(
    {("candidate", "p1"): 7, ("candidate", "p2"): 3, ("reference", "p1"): 1, ("reference", "p2"): 12}
)


def sent(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the gateway shows it."""
    shown = ("prompt_id", "index", "text", "finish_reason", "outcome", "reward", "behaviour", "detail")
    return {name: row[name] for name in shown} | {"side": row["stream"], "tokens": 2, "logprob": -0.75}


@pytest.fixture
def sampled(submit: Any, worker: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished analysis whose samples lie in blocks of four."""
    monkeypatch.setattr(pages, "BLOCK_ROWS", 4)
    made = sample_pages(pa.Table.from_pylist(ROWS, schema=pa.schema(COLUMNS)))
    assert [block["rows"] for block in made.index["blocks"]] == [4, 3, 3, 1, 4, 4, 4]
    path: str = submit()
    worker.finish(
        {
            "samples.jsonl.gz": (made.data, "application/gzip"),
            "samples.index.json": (json.dumps(made.index).encode(), "application/json"),
        }
    )
    return path


def read_all(gateway: Any, path: str, **params: Any) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    while True:
        answer = gateway.get(f"{path}/samples", params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["data"]) <= params.get("limit", 20)
        seen += page["data"]
        if not page["has_more"]:
            assert page["next_cursor"] is None
            return seen
        params["after"] = page["next_cursor"]


FILTERS = [
    {},
    {"side": "reference"},
    {"prompt_id": "p2"},
    {"outcome": "correct"},
    {"outcome": "unparsed", "side": "candidate"},
    {"prompt_id": "p1", "side": "reference", "outcome": "correct"},
    {"side": "nobody"},
    {"outcome": "truncated"},
]


@pytest.mark.parametrize("limit", [1, 3, 4, 100])
@pytest.mark.parametrize("filters", FILTERS)
def test_every_sample_that_passes_comes_once_and_in_order(
    gateway: Any, sampled: str, limit: int, filters: dict[str, str]
) -> None:
    wanted = [row for row in map(sent, ROWS) if all(row[name] == value for name, value in filters.items())]
    assert read_all(gateway, sampled, limit=limit, **filters) == wanted


def test_the_download_is_an_ordinary_gzip_file(gateway: Any, sampled: str) -> None:
    import gzip

    data = gateway.get(f"{sampled}/artifacts/samples.jsonl.gz").content
    lines = gzip.decompress(data).decode().split("\n")[:-1]
    assert [json.loads(line) for line in lines] == list(map(sent, ROWS))


def test_blocks_of_long_texts_hold_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "BLOCK_CHARACTERS", 10)
    rows = [
        {**row, "text": text}
        for row, text in zip(ROWS, ("123456", "12345", "1" * 30, "12", ""), strict=False)
    ]
    made = sample_pages(pa.Table.from_pylist(rows, schema=pa.schema(COLUMNS)))
    assert [block["rows"] for block in made.index["blocks"]] == [1, 1, 1, 2]


def test_a_cursor_keeps_its_filters(gateway: Any, sampled: str) -> None:
    page = gateway.get(f"{sampled}/samples", params={"limit": 1, "side": "candidate"}).json()
    answer = gateway.get(f"{sampled}/samples", params={"limit": 1, "after": page["next_cursor"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


@pytest.mark.parametrize("name", ["samples.jsonl.gz", "samples.index.json"])
def test_damaged_samples_are_never_sent(gateway: Any, worker: Any, sampled: str, name: str) -> None:
    assert gateway.get(f"{sampled}/samples").status_code == 200
    file = worker.store.path_of(f"default/{sampled.rpartition('/')[2]}/{name}")
    os.chmod(file, 0o644)
    data = bytearray(file.read_bytes())
    data[12] ^= 1
    file.write_bytes(data)
    answer = gateway.get(f"{sampled}/samples")
    assert (answer.status_code, answer.json()["code"]) == (500, "artifact_unreadable")


class TestCsv:
    def table(self, gateway: Any, path: str, **params: Any) -> list[dict[str, str]]:
        answer = gateway.get(path, params={"format": "csv", **params})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))

    def test_samples_are_all_there_and_no_cell_is_a_formula(self, gateway: Any, sampled: str) -> None:
        table = self.table(gateway, f"{sampled}/samples", limit=1)
        assert len(table) == len(ROWS)
        texts = ["'" + text if text[:1] in {"=", "-"} else text for text in (row["text"] for row in ROWS)]
        assert [line["text"] for line in table] == texts
        assert [float(line["logprob"]) for line in table] == [-0.75] * len(ROWS)
        assert [line["outcome"] for line in table] == [row["outcome"] or "" for row in ROWS]

    def test_filters_hold(self, gateway: Any, sampled: str) -> None:
        table = self.table(gateway, f"{sampled}/samples", side="reference", outcome="correct")
        assert [(line["prompt_id"], line["index"]) for line in table] == [
            ("p1", "0"),
            ("p2", "0"),
            ("p2", "5"),
            ("p2", "10"),
        ]

    def test_it_is_not_sent_twice(self, gateway: Any, sampled: str) -> None:
        url = f"{sampled}/samples?format=csv"
        tag = {"If-None-Match": gateway.get(url).headers["etag"]}
        assert gateway.get(url, headers=tag).status_code == 304
        assert gateway.get(f"{url}&side=reference", headers=tag).status_code == 200

    def test_prompt_rows_become_columns(self, gateway: Any, submit: Any, worker: Any) -> None:
        path = submit()
        rows = [
            {"prompt_id": "=cmd", "gain": {"value": -0.5, "status": "ok"}, "evidence": ["counts"]},
            {"prompt_id": "b", "family": "@f", "gain": None, "evidence": []},
        ]
        worker.finish({"prompts.json": (json.dumps(rows).encode(), "application/json")})
        assert self.table(gateway, f"{path}/prompts") == [
            {
                "prompt_id": "'=cmd",
                "gain.value": "-0.5",
                "gain.status": "ok",
                "evidence": '["counts"]',
                "family": "",
                "gain": "",
            },
            {
                "prompt_id": "b",
                "gain.value": "",
                "gain.status": "",
                "evidence": "[]",
                "family": "'@f",
                "gain": "",
            },
        ]


def test_a_block_ends_where_the_next_text_side_or_prompt_does_not_fit(monkeypatch):
    monkeypatch.setattr(pages, "BLOCK_CHARACTERS", 9)
    monkeypatch.setattr(pages, "BLOCK_ROWS", 3)
    monkeypatch.setattr(pages, "BATCH_ROWS", 7)
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 14, 60).tolist()
    prompts = np.sort(rng.integers(0, 6, 60)).tolist()
    rows = [
        {**ROWS[0], "prompt_id": str(prompt), "text": "é" * length, "index": index}
        for index, (prompt, length) in enumerate(zip(prompts, lengths, strict=True))
    ]
    blocks: list[list[int]] = []
    for index, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
        open_block = blocks and prompts[blocks[-1][0]] == prompt and len(blocks[-1]) < 3
        if open_block and sum(lengths[i] for i in blocks[-1]) + length <= 9:
            blocks[-1].append(index)
        else:
            blocks.append([index])
    made = sample_pages(pa.Table.from_pylist(rows, schema=pa.schema(COLUMNS)))
    assert [block["rows"] for block in made.index["blocks"]] == [len(block) for block in blocks]
    texts = [json.loads(line)["text"] for line in gzip.decompress(made.data).decode().splitlines()]
    assert texts == [row["text"] for row in rows]
