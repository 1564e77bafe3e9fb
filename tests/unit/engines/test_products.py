"""Products in tiles are products."""

import pytest
import torch

from workers.engines import products
from workers.engines.products import product


@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 5), (3, 2_048), (128, 2_500), (129, 2_500), (200, 8_192), (7, 9_001)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_plain_product(rows, columns, dtype):
    generator = torch.Generator().manual_seed(rows)
    inputs = torch.randn((rows, 2 * 24), generator=generator, dtype=dtype)[:, ::2][:, :20]
    weight = torch.randn((columns, 20), generator=generator, dtype=dtype)
    room = torch.full((rows, columns + 3), torch.nan, dtype=dtype)
    out = room[:, :columns]
    assert product(inputs, weight, out) is out
    torch.testing.assert_close(out, inputs @ weight.T, rtol=1e-5, atol=1e-5)
    assert room[:, columns:].isnan().all()


def test_few_rows_meet_many_columns_in_tiles(monkeypatch):
    widths, mm = [], torch.mm
    monkeypatch.setattr(
        products.torch, "mm", lambda a, b, out: widths.append(b.shape[1]) or mm(a, b, out=out)
    )
    for rows, columns, tiles in ((64, 3_000, 6), (64, 1_000, 1), (500, 3_000, 1), (500, 10_000, 20)):
        widths.clear()
        product(torch.zeros(rows, 4), torch.zeros(columns, 4), torch.empty(rows, columns))
        assert len(widths) == tiles
        assert sum(widths) == columns
