import io
import json
import zipfile

import pytest

from workers.importers.record import ImportFault


def jsonl(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


class TestLmEval:
    def test_every_repeat_is_a_sample_and_one_filter_is_taken(self, read, logs):
        log = read("lm-eval", (logs / "lm_eval_samples_toy_gen_repeats3_two_filters.jsonl").read_bytes())
        assert [prompt.text for prompt in log.found.prompts] == ["Q: What is 2+3?\nA:", "Q: What is 7*6?\nA:"]
        assert [prompt.answers for prompt in log.found.prompts] == [("5",), ("42",)]
        assert log.found.counts == [3, 3]
        assert log.summary["filters"] == ["first", "all3"]
        assert log.summary["sampling"]["temperature"] == 0.8
        assert "several_filters" in log.notes.warnings

    def test_a_filter_can_be_chosen(self, read, logs):
        content = (logs / "lm_eval_samples_toy_gen_repeats3_two_filters.jsonl").read_bytes()
        log = read("lm-eval", content, "all3")
        assert log.found.counts == [3, 3]
        assert log.notes.warnings == {}
        with pytest.raises(ImportFault, match="`first`, `all3`") as fault:
            read("lm-eval", content, "nope")
        assert fault.value.code == "unknown_filter"

    def test_likelihoods_of_choices_are_no_samples(self, read, logs):
        with pytest.raises(ImportFault, match=r"line 1: .*no samples") as fault:
            read("lm-eval", (logs / "lm_eval_samples_toy_mc.jsonl").read_bytes())
        assert fault.value.code == "no_samples"

    def test_a_chat_is_read_as_one(self, read):
        chat = json.dumps([{"role": "user", "content": "2+3?"}])
        record = {"doc_id": 7, "target": "5", "resps": [["5"]]}
        log = read("lm-eval", jsonl({**record, "arguments": {"gen_args_0": {"arg_0": chat, "arg_1": {}}}}))
        assert log.found.prompts[0].messages == ({"role": "user", "content": "2+3?"},)

    def test_a_document_twice_under_one_filter_is_refused(self, read):
        record = {"doc_id": 0, "resps": [["5"]], "arguments": {"g": {"arg_0": "x"}}, "filter": "f"}
        with pytest.raises(ImportFault, match="line 2: document 0 is there twice"):
            read("lm-eval", jsonl(record, record))


class TestInspect:
    def test_epochs_are_samples(self, read, logs):
        log = read("inspect", (logs / "inspect_toy_4epochs.eval").read_bytes())
        assert [(prompt.id, prompt.answers) for prompt in log.found.prompts] == [
            ("p1", ("5",)),
            ("2", ("42",)),
        ]
        assert log.found.counts == [4, 4]
        assert log.texts(0) == ["The answer is 5"] * 4
        assert log.summary["model"] == "mockllm/model"
        assert log.summary["logprobs"] == 8
        assert log.rows[0]["logprob"] == pytest.approx(-0.1)

    def archive(self, **changes):
        header = {"status": "success", "eval": {"model": "m"}, **changes.pop("header", {})}
        sample = {
            "id": 1,
            "input": "x",
            "target": ["a", "b"],
            "output": {"completion": "attachment://h", "choices": [{"stop_reason": "max_tokens"}]},
            "attachments": {"h": "long text"},
            **changes,
        }
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("header.json", json.dumps(header))
            archive.writestr("samples/1_epoch_1.json", json.dumps(sample))
        return out.getvalue()

    def test_older_logs_attachments_and_truncation(self, read):
        log = read("inspect", self.archive())
        assert log.rows[0]["text"] == "long text"
        assert log.rows[0]["finish_reason"] == "length"
        assert log.found.prompts[0].answers == ("a", "b")

    def test_invalidated_logs_are_refused(self, read):
        with pytest.raises(ImportFault) as fault:
            read("inspect", self.archive(header={"invalidated": True}))
        assert fault.value.code == "log_invalidated"

    def test_an_unfinished_run_is_said_so(self, read):
        assert "run_unfinished" in read("inspect", self.archive(header={"status": "error"})).notes.warnings

    def test_samples_that_failed_are_left_out(self, read):
        with pytest.raises(ImportFault, match="no samples"):
            read("inspect", self.archive(error={"message": "x"}))

    @pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04 and nonsense"])
    def test_what_is_no_log(self, read, content):
        with pytest.raises(ImportFault, match=r"not an `\.eval` log"):
            read("inspect", content)


class TestPlain:
    def test_lines_of_one_prompt_add_up_whatever_they_are_called(self, read):
        log = read(
            "jsonl",
            jsonl(
                {"id": "a", "prompt": "1+1=", "answer": 2, "completion": "2", "correct": False},
                {"id": "b", "prompt": "1+1=", "answer": "2", "completions": ["3", {"text": "2"}]},
                {"id": "a", "prompt": "2+2=", "answers": ["4", "four"], "completion": "4"},
            ),
        )
        assert log.texts(0) == ["2", "3", "2"]
        assert [row["index"] for row in log.rows] == [0, 1, 2, 0]
        first, second = log.found.prompts
        assert (first.id, first.answers, second.answers) == ("a", ("2",), ("4", "four"))
        assert second.id != "a"

    def test_logprobs_are_summed_and_sentinels_never_are(self, read):
        log = read(
            "jsonl",
            jsonl(
                {
                    "prompt": "x",
                    "completions": ["a", "b", "c", "d"],
                    "logprobs": [[-0.5, -0.25], -1.5, [-0.5, -9999.0], [None, -1.0]],
                }
            ),
        )
        assert [row["logprob"] for row in log.rows] == [-0.75, -1.5, None, None]
        assert log.summary["logprobs"] == 2
        assert "logprob_sentinel" in log.notes.warnings

    def test_answers_that_differ_are_said_to(self, read):
        record = {"prompt": "x", "completion": "y"}
        log = read("jsonl", jsonl({**record, "answer": "1"}, {**record, "answer": "2"}))
        assert "answers_differ" in log.notes.warnings

    @pytest.mark.parametrize(
        ("record", "said"),
        [
            ({"prompt": "x"}, "exactly one of `completion`"),
            ({"completion": "x"}, "exactly one of `prompt`"),
            ({"prompt": "x", "messages": [], "completion": "y"}, "exactly one of `prompt`"),
            ({"prompt": "x", "completions": []}, "no list of completions"),
            ({"prompt": "x", "completion": 3}, "neither a text"),
            ({"prompt": "x", "completion": "y", "logprobs": [0.5]}, "no log-probability"),
            ({"prompt": "x", "completion": "y", "logprobs": ["-1"]}, "no log-probability"),
            ({"prompt": "x", "completions": ["a", "b"], "logprobs": [-1]}, "not one entry"),
            ({"messages": [{"role": "robot", "content": "x"}], "completion": "y"}, "neither a text nor"),
        ],
    )
    def test_faults_have_their_line(self, read, record, said):
        good = {"prompt": "x", "completion": "y"}
        with pytest.raises(ImportFault, match="line 2: ") as fault:
            read("jsonl", jsonl(good, record))
        assert said in fault.value.detail

    @pytest.mark.parametrize("content", [b"", b"\n\n"])
    def test_nothing(self, read, content):
        with pytest.raises(ImportFault, match="no samples"):
            read("jsonl", content)

    @pytest.mark.parametrize("line", [b"[1]", b"{", b"\xff", b"[" * 100_000])
    def test_what_is_no_object(self, read, line):
        with pytest.raises(ImportFault, match="line 1"):
            read("jsonl", line)


def test_openai_evals_items(read):
    sample = {
        "input": [{"role": "user", "content": "2+3?"}],
        "output": [{"role": "assistant", "content": "5"}],
        "model": "m",
        "finish_reason": "length",
        "temperature": 0.7,
    }
    item = {"object": "eval.run.output_item", "datasource_item_id": 3, "datasource_item": {"answer": "5"}}
    failed = {**item, "sample": {**sample, "output": []}}
    log = read("openai-evals", jsonl({**item, "sample": sample}, {**item, "sample": sample}, failed))
    assert log.found.counts == [2]
    assert log.found.prompts[0].answers == ("5",)
    assert (log.rows[0]["finish_reason"], log.summary["sampling"]) == ("length", {"temperature": 0.7})
    assert "items_without_output" in log.notes.warnings


def test_evalplus_samples(read):
    log = read(
        "evalplus",
        jsonl(
            {"task_id": "HumanEval/0", "solution": "def f(): 1", "completion": "1"},
            {"task_id": "HumanEval/1", "completion": "2"},
            {"task_id": "HumanEval/0", "solution": "def f(): 3"},
        ),
    )
    assert log.texts(0) == ["def f(): 1", "def f(): 3"]
    assert "prompts_not_stored" in log.notes.warnings
