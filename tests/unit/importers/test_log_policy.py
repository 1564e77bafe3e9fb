from typing import Any

import pytest

from workers.engines.policy import Policy
from workers.errors import AnalysisFault
from workers.pipelines.log_policy import log_policy, policy_notice

ASKED = Policy(max_new_tokens=16)


@pytest.mark.parametrize(
    ("sampling", "found"),
    [
        ({}, ASKED),
        ({"temperature": 0.8, "do_sample": True}, Policy(temperature=0.8, max_new_tokens=16)),
        ({"temperature": 1, "top_k": -1}, ASKED),
        ({"top_p": 0.9, "max_gen_toks": 4}, Policy(top_p=0.9, max_new_tokens=16)),
    ],
)
def test_what_the_log_says_counts(sampling: dict[str, Any], found: Policy) -> None:
    assert log_policy(ASKED, sampling, "reference") == found


@pytest.mark.parametrize(
    ("sampling", "code"),
    [
        ({"temperature": 0}, "greedy_log"),
        ({"do_sample": False}, "greedy_log"),
        ({"top_p": 1.5}, "invalid_import"),
        ({"min_p": 0.1, "top_k": 5}, "invalid_import"),
    ],
)
def test_no_law_is_refused(sampling: dict[str, Any], code: str) -> None:
    with pytest.raises(AnalysisFault) as caught:
        log_policy(ASKED, sampling, "candidate")
    assert (caught.value.code, caught.value.pointer) == (code, "/candidate/import")


@pytest.mark.parametrize(
    ("sampling", "code"),
    [
        ({"temperature": 0.8}, "reference_policy_differs"),
        ({}, "reference_policy_unknown"),
        ({"temperature": 1.0}, None),
    ],
)
def test_readers_are_told(sampling: dict[str, Any], code: str | None) -> None:
    notice = policy_notice(ASKED, log_policy(ASKED, sampling, "reference"), sampling, "reference")
    assert (notice and notice.code) == code
