"""One training by several processes: each learns from its share of every batch (torch.distributed).

A batch is the whole one however many processes share it, so that a recipe means the same on one GPU and on eight, and
any number of processes goes on from a checkpoint that another number wrote. Row i of a batch is process i mod N's.
Gradients are averaged over processes, as `DistributedDataParallel` does, but after the backward pass: its hooks fire
whenever a parameter receives a gradient, and an adversarial loss runs through both players while one of them learns.
For an average to be that of the whole batch, `mean` divides by the whole batch's count; what compares texts with one
another looks at them all (`gathered`).

Of a model that is too large to stand whole in every process, each may hold a part (`shard`: FSDP2, Zhao et al. 2023,
arXiv 2304.11277): then gradients are averaged as they come, and what is written is put together first (`whole`).

Without a process group there is one process, and everything here is what it is for one; what only several need is
imported where it is used, for it takes a second.

Shapes: B rows of this process.
"""

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from gdcore.uniforms import row_seeds

T = TypeVar("T")


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is."""
    return dist.get_rank() if size() > 1 else 0


def leads() -> bool:
    """Whether this is the one that writes files and tells how it goes."""
    return rank() == 0


def share(rows: np.ndarray) -> np.ndarray:
    """This process's of the rows of a whole batch."""
    return rows[rank() :: size()]


def meet() -> None:
    """Wait until all have come here: what the leading one has written may now be read."""
    if size() > 1:
        dist.barrier()


def agreed(value: T) -> T:
    """The leading process's value, for all."""
    if size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def any_of(flag: bool) -> bool:
    """Whether it is so in any process."""
    return bool(total(torch.tensor(float(flag), device=_device())).item()) if size() > 1 else flag


def total(value: Tensor) -> Tensor:
    """The sum over processes, without gradient."""
    value = value.detach().clone()
    if size() > 1:
        dist.all_reduce(value)
    return value


def average(value: Tensor) -> Tensor:
    """The mean over processes, without gradient."""
    return total(value) / size()


def mean(values: Tensor) -> Tensor:
    """This process's part of the mean of some values (scalar): averaged over processes, it is the mean of them all."""
    if size() == 1:
        return values.mean()
    return values.sum() / average(torch.tensor(float(values.numel()), device=values.device))


def deviation(values: Tensor) -> Tensor:
    """The standard deviation of the values of all processes (scalar), without gradient."""
    if size() == 1:
        return values.detach().std()
    values = values.detach().double()
    moments = torch.stack([torch.ones_like(values).sum(), values.sum(), values.square().sum()])
    count, first, second = total(moments)
    return ((second - first.square() / count) / (count - 1)).clamp(min=0).sqrt().float()


def gathered(values: Tensor) -> Tensor:
    """The rows of all processes, in the whole batch's order, without gradient; shorter ones padded by zeros."""
    if size() == 1:
        return values.detach()
    values = values.detach()
    if values.dim() == 2:
        width = torch.tensor(values.shape[1], device=values.device)
        dist.all_reduce(width, dist.ReduceOp.MAX)
        values = nn.functional.pad(values, (0, int(width) - values.shape[1]))
    parts = [torch.empty_like(values) for _ in range(size())]
    dist.all_gather(parts, values.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)


def own(gathered_rows: Tensor, like: Tensor) -> Tensor:
    """This process's rows of what was `gathered`, as wide as they were."""
    rows = gathered_rows[rank() :: size()]
    return rows[:, : like.shape[1]] if like.dim() == 2 else rows


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their mean over processes, all in one message. A parameter without one counts as zero."""
    trained = list(parameters)
    if size() == 1 or any(map(is_part, trained)):  # or they have been already
        return
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    grads = [parameter.grad for parameter in trained if parameter.grad is not None]
    flat = torch.cat([grad.flatten() for grad in grads])
    dist.all_reduce(flat)
    flat /= size()
    for grad, part in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(part.view_as(grad))


def shard(module: nn.Module) -> None:
    """Leave a part of the weights to each process; a block's are put together when it is its turn, and let go again."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh("cuda" if dist.get_backend() == "nccl" else "cpu", (size(),))
    for blocks in [each for each in module.modules() if isinstance(each, nn.ModuleList)]:
        for block in blocks:
            fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)
    for name in ("hidden", "head", "logits", "step"):  # what a generator is called by, beside `forward`
        register_fsdp_forward_method(module, name)


def whole(value: Tensor) -> Tensor:
    """A tensor of which each process may hold a part, put together; all must ask."""
    if size() == 1:
        return value
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value


def put(value: Tensor, into: Tensor) -> None:
    """Copy a whole tensor into one of which each process may hold a part."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(into, DTensor):
        value = distribute_tensor(value.to(into.device), into.device_mesh, into.placements)
    into.copy_(value)


def is_part(value: Tensor) -> bool:
    """Whether this process holds a part of it."""
    if size() == 1:
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(value, DTensor)


def sharded(module: nn.Module) -> bool:
    """Whether each process holds a part of its weights; if so, it holds no more than that from here on."""
    if size() == 1:
        return False
    from torch.distributed.fsdp import FSDPModule

    for each in module.modules():
        if isinstance(each, FSDPModule):  # after a forward pass alone some weights are still together
            each.reshard()
    return isinstance(module, FSDPModule)


def part_ways(seed: int, step: int) -> None:
    """From here on draw other numbers than the leading process, which goes on with its own; the same ones each time.

    At the first step and at every checkpoint: then a run that goes on from one draws what the one that wrote it drew.
    """
    if rank():
        torch.manual_seed(int(row_seeds(seed, 1, step * size() + rank())[0] & 0x7FFFFFFF))


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
