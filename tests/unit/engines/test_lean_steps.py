"""What is written for a GPU's compiler gives what is written for a CPU's memory."""

import pytest
import torch

from workers.engines import kernels, lean_steps
from workers.engines.kernels import Kernel


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_both_ways_of_writing_agree():
    hidden, weight = numbers(5, 12), numbers(12, seed=1)
    close = torch.testing.assert_close
    close(lean_steps._plainly_normed(hidden, weight, 1e-5), lean_steps.normed(hidden, weight, 1e-5))
    heads, angles = numbers(3, 2, 4, 8), numbers(3, 2, 1, 4, seed=2)
    found = lean_steps._plainly_turned(heads, angles.cos(), angles.sin())
    close(found, lean_steps.turned(heads, angles.cos(), angles.sin()))
    both = numbers(6, 10)
    close(lean_steps._plainly_gated(both), lean_steps.gated(both.clone()))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("heads", "key_heads"), [(4, 4), (4, 2), (3, 1)])
def test_attention_is_one_softmax_over_prompt_and_row(heads, key_heads, masked):
    blocks, each, length, columns, depth = 2, 3, 5, 4, 8
    rows, group = blocks * each, heads // key_heads
    queries = numbers(rows, heads, depth)
    own = numbers(2, rows, key_heads, columns, depth, seed=1)
    prompt = numbers(2, blocks, key_heads, length, depth, seed=2)
    own_seen, prompt_seen = torch.ones(rows, columns).bool(), torch.ones(blocks, length).bool()
    if masked:
        own_seen[::2, 0], prompt_seen[1, 3:] = False, False

    def additive(seen):
        return torch.zeros(seen.shape).masked_fill(~seen, -torch.inf) if masked else None

    got = lean_steps.attention_step(queries, own, additive(own_seen), prompt, additive(prompt_seen), 0.3)
    for row in range(rows):
        seen = torch.cat([prompt_seen[row // each], own_seen[row]])
        for head in range(heads):
            keys, values = (
                torch.cat([prompt[side, row // each, head // group], own[side, row, head // group]])[seen]
                for side in range(2)
            )
            weights = (0.3 * keys @ queries[row, head]).softmax(0)
            torch.testing.assert_close(got[row, head], weights @ values)


def test_a_kernel_that_cannot_be_compiled_runs_as_it_is_written(monkeypatch):
    def no_compiler(function, **how):
        def refuse(*arguments):
            raise RuntimeError("no C compiler")

        return refuse

    monkeypatch.setattr(kernels.torch, "compile", no_compiler)
    monkeypatch.setattr(Kernel, "enabled", True)
    kernel = Kernel(lambda x: x + 1)
    assert [kernel(torch.zeros(())).item() for _ in range(2)] == [1, 1]


def test_memory_that_runs_out_is_no_fault_of_the_compiler(monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(kernels.torch, "compile", lambda function, **how: full)
    monkeypatch.setattr(Kernel, "enabled", True)
    with pytest.raises(torch.OutOfMemoryError):
        Kernel(lambda x: x + 1)(torch.zeros(()))


def test_every_kernel_is_traced_whole(monkeypatch):
    """Without a break the compiler sees all of a function; here it only traces, and computes as before."""
    torch._dynamo.reset()
    for kernel, arguments in (
        (lean_steps._normed_on_gpu, (numbers(5, 12), numbers(12), 1e-5)),
        (lean_steps._gated_on_gpu, (numbers(6, 10),)),
        (
            lean_steps._attention_on_gpu,
            (numbers(6, 4, 8), numbers(2, 6, 2, 3, 8), numbers(6, 3), numbers(2, 3, 2, 5, 8), None, 0.3),
        ),
    ):
        traced = torch.compile(kernel._plain, dynamic=True, fullgraph=True, backend="eager")
        torch.testing.assert_close(traced(*arguments), kernel._plain(*arguments))
