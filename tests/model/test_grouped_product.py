"""Queries grouped by relation give what one product per query gives."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from momok.model import grouped_product as decoder_module
from momok.model.decoders import TuckER
from momok.model.grouped_product import CoreMemory, GroupedProduct, group_by_relation
from momok.model.noise import Noise

relations_of = st.lists(st.integers(0, 12), min_size=1, max_size=60)


@given(relations=relations_of)
@settings(deadline=None)
def test_layout(relations) -> None:
    groups = group_by_relation(torch.tensor(relations))
    distinct, slots = groups.distinct.tolist(), groups.slots.tolist()
    assert sorted(distinct) == sorted(set(relations))
    assert len(set(slots)) == len(slots) == len(relations)
    assert groups.rows < 2 * len(relations)
    # the blocks follow one another, over all relations and all rows
    assert [first for first, _, _ in groups.blocks] == [0, *(end for _, end, _ in groups.blocks)][
        :-1
    ]
    assert groups.blocks[-1][1] == len(distinct)
    assert sum((end - first) * size for first, end, size in groups.blocks) == groups.rows
    owners = [
        relation
        for first, end, size in groups.blocks
        for relation in distinct[first:end]
        for _ in range(size)
    ]
    assert [owners[slot] for slot in slots] == relations
    sizes = [size for _, _, size in groups.blocks]
    assert sizes == sorted(set(sizes))
    assert all(size & (size - 1) == 0 for size in sizes)


def test_no_queries() -> None:
    groups = group_by_relation(torch.zeros(0, dtype=torch.int64))
    assert (groups.rows, groups.blocks, len(groups.distinct), len(groups.slots)) == (0, (), 0, 0)


def draw(relations: list[int], width: int = 5, relation_width: int = 3) -> tuple[Tensor, ...]:
    """Rows, the relations' vectors and a core, in float64 and with gradients."""
    generator = torch.Generator().manual_seed(len(relations))
    shapes = (len(relations), width), (13, relation_width), (relation_width, width, width)
    return tuple(
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    )


@given(relations=relations_of, masked=st.booleans())
@settings(deadline=None)
def test_the_grouped_product_is_the_product_of_every_query(relations, masked) -> None:
    x, table, core = draw(relations)
    groups = group_by_relation(torch.tensor(relations))
    mask, scale = None, 1.0
    if masked:
        generator = torch.Generator().manual_seed(1)
        mask, scale = torch.rand(len(groups.distinct), 5, 5, generator=generator) < 0.6, 1 / 0.6
    upstream = torch.randn(len(relations), 5, generator=torch.Generator().manual_seed(2)).double()

    bits = None if mask is None else -mask.long()
    out = GroupedProduct.apply(x, table[groups.distinct] * scale, core, bits, groups, CoreMemory())
    out.backward(upstream)
    gradients = [tensor.grad.clone() for tensor in (x, table, core)]
    for tensor in (x, table, core):
        tensor.grad = None

    matrices = torch.einsum("bj,jde->bde", table[torch.tensor(relations)], core)
    if mask is not None:
        place = [groups.distinct.tolist().index(relation) for relation in relations]
        matrices = matrices * mask[place] * scale
    expected = torch.einsum("bd,bde->be", x, matrices)
    expected.backward(upstream)
    torch.testing.assert_close(out, expected)
    for gradient, tensor in zip(gradients, (x, table, core), strict=True):
        torch.testing.assert_close(gradient, tensor.grad)


def test_the_gradient_of_the_core_is_added() -> None:
    x, table, core = draw([0, 1, 1])
    groups = group_by_relation(torch.tensor([0, 1, 1]))
    for times in (1, 2, 3):
        out = GroupedProduct.apply(x, table[groups.distinct], core, None, groups, CoreMemory())
        out.sum().backward()
        if times == 1:
            once = core.grad.clone()
        torch.testing.assert_close(core.grad, times * once)


def test_bfloat16_products_are_near() -> None:
    relations = [0, 1, 1, 2, 2, 2]
    groups = group_by_relation(torch.tensor(relations))
    x, table, core = (tensor.detach().float().requires_grad_() for tensor in draw(relations))
    exact = GroupedProduct.apply(x, table[groups.distinct], core, None, groups, CoreMemory())
    exact.sum().backward()
    wanted = [tensor.grad.clone() for tensor in (x, table, core)]
    for tensor in (x, table, core):
        tensor.grad = None
    near = GroupedProduct.apply(
        x.bfloat16(), table[groups.distinct], core, None, groups, CoreMemory()
    )
    assert near.dtype == torch.bfloat16
    near.float().sum().backward()
    torch.testing.assert_close(near.float(), exact, rtol=0.05, atol=0.1)
    for gradient, tensor in zip(wanted, (x, table, core), strict=True):
        assert tensor.grad.dtype == torch.float32
        torch.testing.assert_close(tensor.grad, gradient, rtol=0.05, atol=0.1)


def build(dropouts: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> TuckER:
    generator = torch.Generator().manual_seed(0)
    decoder = TuckER(5, 3, dropouts=dropouts, generator=generator).double()
    with torch.no_grad():
        for norm in (decoder.input_norm, decoder.output_norm):
            norm.weight.uniform_(0.5, 2.0, generator=generator)
            norm.bias.normal_(generator=generator)
            norm.running_mean.normal_(generator=generator)
            norm.running_var.uniform_(0.5, 2.0, generator=generator)
    return decoder


@pytest.mark.parametrize("training", [True, False])
def test_query_vectors_are_those_of_the_equations(training) -> None:
    decoder, relations = build().train(training), [3, 0, 3, 5, 3, 0]
    x, table, _ = draw(relations)
    groups = group_by_relation(torch.tensor(relations))
    found = decoder.queries(x, table[groups.distinct], groups, Noise(torch.Generator()))
    decoder = build().train(training)
    normed = decoder.input_norm(x)
    rows = [
        normed[i] @ sum(table[r, j] * decoder.core[j] for j in range(3))
        for i, r in enumerate(relations)
    ]
    torch.testing.assert_close(found, decoder.output_norm(torch.stack(rows)))


def test_dropout_of_relation_matrices_is_shared_within_a_relation() -> None:
    decoder, relations = build((0.0, 0.5, 0.0)).eval(), [2, 2, 4]
    groups = group_by_relation(torch.tensor(relations))
    _, table, _ = draw(relations)
    same = torch.ones(3, 5, dtype=torch.float64)
    noise = Noise(torch.Generator().manual_seed(0))
    dropped = decoder.queries(same, table[groups.distinct], groups, noise)
    plain = decoder.queries(same, table[groups.distinct], groups, Noise(None))
    assert torch.equal(dropped[0], dropped[1])
    assert not torch.equal(dropped[0], plain[0])
    assert not torch.equal(dropped[2], plain[2])


def test_each_dropout_is_where_it_belongs() -> None:
    relations = [0, 1, 1, 2]
    groups = group_by_relation(torch.tensor(relations))
    x, table, _ = draw(relations)
    plain = build().eval().queries(x, table[groups.distinct], groups, Noise(None))
    last = build((0.0, 0.0, 0.5)).eval()
    out = last.queries(x, table[groups.distinct], groups, Noise(torch.Generator().manual_seed(0)))
    kept = out != 0
    assert 0 < int(kept.sum()) < out.numel()
    torch.testing.assert_close(out[kept], 2 * plain[kept])
    for dropouts in ((0.5, 0.0, 0.0), (0.0, 0.5, 0.0)):
        noise = Noise(torch.Generator().manual_seed(0))
        out = build(dropouts).eval().queries(x, table[groups.distinct], groups, noise)
        assert bool((out != 0).all())
        assert not torch.allclose(out, plain)


_CRASH = """
import torch
from momok.model.decoders import TuckER
from momok.model.grouped_product import group_by_relation
from momok.model.noise import Noise

width, relations = 256, torch.arange(24).repeat_interleave(2)
decoder = TuckER(width, width, dropouts=(0.3, 0.4, 0.5)).train()
with torch.autocast("cpu", dtype=torch.bfloat16):
    vectors = torch.ones(24, width, requires_grad=True)
    noise = Noise(torch.Generator().manual_seed(0))
    out = decoder.queries(torch.randn(48, width), vectors, group_by_relation(relations), noise)
out.sum().backward()
print(bool(vectors.grad.isfinite().all()))
"""


def test_a_product_that_ends_the_process_is_not_taken() -> None:
    """24 relations of width 256: see ``_sum_columns``. In a process of its own, which may die."""
    done = subprocess.run(
        [sys.executable, "-c", _CRASH], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


@given(rows=st.integers(0, 5), columns=st.integers(0, 9), width=st.integers(1, 4))
@settings(deadline=None)
def test_sums_in_pieces(rows, columns, width) -> None:
    generator = torch.Generator().manual_seed(rows + 10 * columns)
    left = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    right = torch.randn(width, columns, generator=generator, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder_module, "_SUMMED", 4)
        found = decoder_module._sum_columns(left, right, torch.float64)
    torch.testing.assert_close(found, left @ right.T)
