"""Prompt rows as a file that is read a row at a time."""

import hashlib
import json

import pytest
from planted import planted, planted_checkpoints, planted_run

from workers.pipelines.prompt_pages import prompt_pages

BUDGET = {"k_use": 2, "k_probe": 8, "samples_per_prompt": 16, "max_samples_per_prompt": 32}
ODD = 'line\nbreak, \u2028, \U0001f600 and a quote "'


@pytest.fixture(scope="module")
def rows():
    prompts = [planted(f"{ODD}{i}", *pair) for i, pair in enumerate([(0.5, 0.9), (0.0, 0.9), (0.4, 0.0)])]
    return planted_run(prompts, budget=BUDGET).run().rows


def test_the_file_is_what_json_makes_of_the_rows(rows):
    for some in (rows, rows[:1], []):
        expected = json.dumps(some, allow_nan=False, ensure_ascii=False, indent=1)
        assert prompt_pages(some).data == expected.encode()


def test_every_row_lies_where_the_index_says(rows):
    made = prompt_pages(rows)
    index = made.index
    for row, offset, size, digest in zip(rows, index["offset"], index["bytes"], index["sha256"], strict=True):
        text = made.data[offset : offset + size]
        assert json.loads(text) == row
        assert hashlib.sha256(text).hexdigest() == digest


def test_the_index_has_what_lists_are_sorted_by(rows):
    index = prompt_pages(rows).index
    assert index["regime"] == [row["regime"] for row in rows]
    assert index["gain"] == [row["gain"]["value"] for row in rows]
    prices = [row["reference"]["price"] for row in rows]
    assert [price["value"] is None for price in prices] == [False, True, False]
    assert index["price"] == [prices[0]["value"], prices[1]["ci_low"], prices[2]["value"]]
    assert index["checkpoint"] == [None] * 3


def test_a_trajectorys_rows_keep_their_checkpoints():
    found = planted_run([planted_checkpoints("p", 0.5, [0.6, 0.7])], budget=BUDGET).run()
    assert prompt_pages(found.rows).index["checkpoint"] == [row["checkpoint"] for row in found.rows]
    assert {row["checkpoint"] for row in found.rows} == {0, 1}
