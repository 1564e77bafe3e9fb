"""Ten thousand prompt rows: a page reads its own rows, whatever the order, and nothing else of the file."""

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted import planted, planted_run

from service.analyses.prompt_rows import IndexedRows
from service.analyses.prompts import PromptTable
from service.csv_text import columns_of, csv_chunks, flatten
from service.stored_files import StoredFile
from workers.host.result_files import result_files

PROMPTS = 10_000
LIMIT = 100
BUDGET = {"k_use": 2, "k_probe": 8, "samples_per_prompt": 16, "max_samples_per_prompt": 32}
PARAMS: list[dict[str, Any]] = [{}, {"sort": "price"}, {"sort": "gain", "order": "desc"}, {"sort": "regime"}]
Files = dict[str, tuple[bytes, str]]


@pytest.fixture(scope="module")
def stored() -> Files:
    """Files of a real analysis whose rows come again and again, each with an id and a gain of its own."""
    prompts = [planted(f"p{i}", *pair) for i, pair in enumerate([(0.5, 0.9), (0.0, 0.9)])]
    run = planted_run(prompts, budget=BUDGET)
    found = run.run()
    rows = [
        {
            **(row := found.rows[number % len(found.rows)]),
            "prompt_id": f"p{number}",
            "gain": {**row["gain"], "value": (number * 7919 % PROMPTS) / PROMPTS},
        }
        for number in range(PROMPTS)
    ]
    return result_files(found.document, rows, run.committed(with_samples=True), None)


@pytest.fixture
def path(submit: Any, worker: Any, stored: Files) -> str:
    analysis: str = submit()
    worker.finish(stored)
    return analysis


def bytes_read(act: Callable[[], Any]) -> tuple[int, Any]:
    """Bytes that this process asked the system for meanwhile, cached by the system or not."""

    def read() -> int:
        lines = Path("/proc/self/io").read_text().splitlines()
        return int(dict(line.split(": ") for line in lines)["rchar"])

    before = read()
    answer = act()
    return read() - before, answer


def get(gateway: Any, path: str, **params: Any) -> Any:
    answer = gateway.get(f"{path}/prompts", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("params", PARAMS, ids=str)
def test_a_page_reads_its_own_rows(gateway: Any, path: str, stored: Files, params: dict[str, Any]) -> None:
    whole, index = (len(stored[name][0]) for name in ("prompts.json", "prompts.index.json"))
    page_share, around = whole * LIMIT // PROMPTS, 1 << 19
    first, page = bytes_read(lambda: get(gateway, path, limit=LIMIT, **params))
    assert (len(page["data"]), page["has_more"]) == (LIMIT, True)
    # The index is read once to be checked and once to be parsed; half a mebibyte is the ledger's.
    assert first < 2 * index + 2 * page_share + around
    more, _ = bytes_read(lambda: get(gateway, path, limit=LIMIT, after=page["next_cursor"], **params))
    assert more < 2 * page_share + around
    assert more < whole / 20


def test_a_page_is_all_that_is_in_memory(gateway: Any, path: str, stored: Files) -> None:
    page = get(gateway, path, limit=LIMIT, sort="gain")
    tracemalloc.start()
    try:
        get(gateway, path, limit=LIMIT, sort="gain", after=page["next_cursor"])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(stored["prompts.json"][0]) / 4


def test_pages_are_the_whole_list_in_order(gateway: Any, path: str) -> None:
    gains: list[float] = []
    after: dict[str, str] = {}
    while True:
        page = get(gateway, path, limit=LIMIT, sort="gain", **after)
        gains += [row["gain"]["value"] for row in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["next_cursor"]}
    assert gains == [number / PROMPTS for number in range(PROMPTS)]


def test_a_table_is_gone_through_a_row_at_a_time(stored: Files, worker: Any) -> None:
    """Columns first and rows after them, as CSV is made."""
    kept = {name: worker.store.put(f"default/{name}", data) for name, (data, _) in stored.items()}
    index = json.loads(stored["prompts.index.json"][0])
    file = kept["prompts.json"]
    rows = IndexedRows(StoredFile("rows", worker.store.path_of(file.key), "", file.sha256), index)
    table = PromptTable(rows, range(0, PROMPTS, 20))
    tracemalloc.start()
    try:
        columns = columns_of(map(flatten, table))
        lines = sum(chunk.count(b"\n") for chunk in csv_chunks(columns, map(flatten, table)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lines == 1 + PROMPTS // 20
    assert most < file.bytes / 20


@pytest.mark.parametrize(("name", "place"), [("prompts.json", 40), ("prompts.index.json", 3)])
def test_what_was_altered_is_never_sent(gateway: Any, path: str, worker: Any, name: str, place: int) -> None:
    file = worker.store.path_of(f"default/{path.rpartition('/')[2]}/{name}")
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    os.chmod(file, 0o644)
    file.write_bytes(data)
    answer = gateway.get(f"{path}/prompts", params={"limit": LIMIT})
    assert (answer.status_code, answer.json()["code"]) == (500, "artifact_unreadable")


def test_an_index_is_small_beside_its_rows(stored: Files) -> None:
    assert len(json.loads(stored["prompts.index.json"][0])["offset"]) == PROMPTS
    assert len(stored["prompts.index.json"][0]) < len(stored["prompts.json"][0]) / 20
