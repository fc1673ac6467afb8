"""What this machine can do at most: matrix products in GFLOP/s, memory read in GB/s, by one thread and by two.

    python -m benchmarks.limits [--threads 1 2]

The best of several tries, in processor time a thread, for a limit is what the machine does when it is left alone.
Products are of 1,024 × 1,024; read are 256 MB, summed up.
"""

import argparse
import time
from collections.abc import Callable

import torch

SIDE, TRIES, READ = 1024, 8, 64 << 20


def fastest(work: Callable[[], object]) -> float:
    """Seconds a thread of the quickest of some calls, the first apart."""
    work()
    seconds: list[float] = []
    for _ in range(TRIES):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return min(seconds) / torch.get_num_threads()


def multiplies(dtype: torch.dtype) -> float:
    """GFLOP/s of a matrix product."""
    a, b = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    return 2 * SIDE**3 / fastest(lambda: a @ b) / 1e9


def reads() -> float:
    """GB/s of a sum over much memory."""
    much = torch.ones(READ)
    return 4 * READ / fastest(much.sum) / 1e9


def bfloat16_is_fast() -> bool:
    """Whether the processor has units for bfloat16."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    for threads in given.threads:
        torch.set_num_threads(threads)
        print(f"limit float32 {threads} {multiplies(torch.float32):.1f} GFLOP/s", flush=True)
        if bfloat16_is_fast():
            print(f"limit bfloat16 {threads} {multiplies(torch.bfloat16):.1f} GFLOP/s", flush=True)
        print(f"limit memory {threads} {reads():.1f} GB/s", flush=True)


if __name__ == "__main__":
    main()
