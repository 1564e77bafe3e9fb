"""What is written for a GPU's compiler gives what is written for a CPU's memory."""

import pytest
import torch

from workers.engines import drawing, kernels, lean_steps, token_scores
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


SHAPES = [(4, 4, 8), (4, 2, 8), (3, 1, 16), (14, 2, 64)]


def grid(heads, key_heads, depth, device="cpu", dtype=torch.float32):
    """Two blocks of three rows: prompts of two lengths, rows of several ages, a column not yet written."""
    queries = numbers(6, heads, depth).to(device, dtype)
    own = numbers(2, 6, key_heads, 50, depth, seed=1).to(device, dtype)
    prompt = numbers(2, 2, key_heads, 45, depth, seed=2).to(device, dtype)
    starts = torch.tensor([0, 3, 0, 40, 48, 0], device=device)
    cursor, lengths = torch.tensor([48], device=device), torch.tensor([45, 33], device=device)
    return queries, own, starts, cursor, prompt, lengths, 0.3


def by_hand(queries, own, starts, cursor, prompt, lengths, scaling):
    rows, heads, depth = queries.shape
    found = torch.empty(rows, heads, depth)
    for row in range(rows):
        block, mine = row // 3, slice(int(starts[row]), int(cursor) + 1)
        for head in range(heads):
            number = head // (heads // own.shape[2])
            keys, values = (
                torch.cat([prompt[side, block, number, : lengths[block]], own[side, row, number, mine]])
                for side in range(2)
            )
            found[row, head] = (scaling * keys @ queries[row, head]).softmax(0) @ values
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_attention_is_one_softmax_over_prompt_and_row(shape):
    arguments = grid(*shape)
    torch.testing.assert_close(lean_steps.attention_step(*arguments), by_hand(*arguments))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_kernel_of_attention_gives_the_same(shape, dtype):
    got = lean_steps.attention_step(*grid(*shape, "cuda", dtype))
    queries, own, starts, cursor, prompt, lengths, scaling = grid(*shape, "cpu", dtype)
    want = by_hand(queries.float(), own.float(), starts, cursor, prompt.float(), lengths, scaling)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(got.cpu().float(), want, rtol=tolerance, atol=tolerance)
    assert lean_steps._attention_on_gpu._made is not lean_steps._attention


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
        (lean_steps._turned_on_gpu, (numbers(3, 2, 4, 8), numbers(3, 2, 1, 4), numbers(3, 2, 1, 4))),
        (drawing._block_totals, (numbers(4, 600), 0.7, 64)),
        (token_scores._untruncated_on_gpu, (numbers(4, 60), numbers(4, 60, seed=1), torch.arange(4), 0.7)),
    ):
        traced = torch.compile(kernel._plain, dynamic=True, fullgraph=True, backend="eager")
        torch.testing.assert_close(traced(*arguments), kernel._plain(*arguments))
