from local_run import request

from workers.pipelines.spec import AnalysisSpec


def read(prompts, **changes):
    return AnalysisSpec.from_request(request(prompts, **changes))


def test_reads_every_default():
    spec = read([{"id": "a", "prompt": "1+1=", "answer": "2"}])
    assert spec.sides == tuple(spec.streams) == ("reference", "candidate")
    assert (spec.budget.k_use, spec.budget.k_probe, spec.budget.samples_per_prompt) == (8, 256, 64)
    assert spec.thresholds.alpha == 0.05
    assert spec.inverse_temperatures == (0.5, 1.0, 2.0)
    assert spec.policy.canonical()["max_new_tokens"] == 8


def test_prompts_keep_order_place_and_marks():
    spec = read(
        [
            {"id": "b", "prompt": "x", "answers": ["1", "2"], "family": "f", "split": "heldout"},
            {"id": "a", "messages": [{"role": "user", "content": "hi"}], "answer": "3"},
        ]
    )
    assert [(p.index, p.id, p.key.answers) for p in spec.prompts] == [(0, "b", ("1", "2")), (1, "a", ("3",))]
    assert (spec.prompts[0].family, spec.prompts[0].split, spec.prompts[0].messages) == ("f", "heldout", None)
    assert spec.prompts[1].text is None
    assert spec.prompts[1].messages == ({"role": "user", "content": "hi"},)


def test_without_a_candidate_there_is_one_stream():
    assert read([{"id": "a", "prompt": "x", "answer": "y"}], candidate=False).sides == ("reference",)


def test_stop_strings_become_part_of_the_policy():
    spec = read([{"id": "a", "prompt": "x", "answer": "y"}], policy={"stop": ["\n", "END"], "top_p": 0.9})
    assert spec.policy.stop == ("\n", "END")
    assert spec.policy.is_truncating
