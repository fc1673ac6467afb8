"""A training phase in several processes: torchrun starts them, this one passes on what the leading one says.

    torchrun --standalone --nproc-per-node 2 -m gdcore.training.launch WORK/call.json

When a process dies, torchrun ends the others at once, and all are started again from the newest checkpoint; when that
has not helped, the call fails with the log's last lines, which name the rank and quote its traceback.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record

from gdcore import ranks
from gdcore.config import RunConfig
from gdcore.errors import UserError
from gdcore.processes import die_with_parent
from gdcore.progress import Progress
from gdcore.training.phases import run_finetuning, run_pretraining

RESTARTS = 1
"""How often all processes are started again after one died."""
LOG = "processes.log"
NUM_LINES = 30
log = logging.getLogger(__name__)


def launched(phase: str, config: RunConfig, folders: Mapping[str, Path | None], device: str) -> Iterator[Progress]:
    """Run a phase in `config.processes` processes; `folders` are the phase's own arguments, `work` among them.

    Raises UserError where the phase does, RuntimeError where a process died again and again.
    """
    work = folders["work"]
    assert work
    call = {"phase": phase, "config": config.model_dump(mode="json", by_alias=True), "device": device}
    call["folders"] = {name: str(path) for name, path in folders.items() if path}
    (work / "call.json").write_text(json.dumps(call))
    for _ in range(1 + RESTARTS):
        status = yield from _passed_on(work, config.processes)
        if not status:
            return
        log.warning("%s in %d processes ended with status %d: %s", phase, config.processes, status, work / LOG)
    tail = "\n".join(_end((work / LOG).read_text(errors="replace").splitlines()))
    raise RuntimeError(f"{phase} in {config.processes} processes failed; {work / LOG} ends with:\n{tail}")


def _end(lines: list[str]) -> list[str]:
    """What torchrun says of the process that failed first, however long its traceback; else the last lines."""
    causes = [number for number, line in enumerate(lines) if line.startswith("Root Cause")]
    return lines[causes[-1] :] if causes else lines[-NUM_LINES:]


def _passed_on(work: Path, processes: int) -> Generator[Progress, None, int]:
    """Start torchrun, pass on the leading process's progress, and return torchrun's status."""
    # Not torchrun's own restarts: the processes of its second attempt do not find one another (gloo, torch 2.13).
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "gdcore.training.launch", str(work / "call.json")]
    threads = max(1, torch.get_num_threads() // processes)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, "preexec_fn": die_with_parent}
    with (
        (work / LOG).open("wb") as errors,
        subprocess.Popen(command, env=environment, stderr=errors, **pipes) as torchrun,
    ):
        assert torchrun.stdout
        try:
            for line in torchrun.stdout:
                said = json.loads(line)
                if "refused" in said:
                    raise UserError(said["refused"])
                yield Progress(**said)
        except GeneratorExit:  # told to stop: the processes agree on a step, and the leading one writes a checkpoint
            torchrun.terminate()
            for _ in torchrun.stdout:  # lest one of them wait for somebody to read
                pass
            raise
    return torchrun.returncode


@record
def main() -> None:
    """One of the processes."""
    call = json.loads(Path(sys.argv[1]).read_text())
    told_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told_to_stop.append(number))
    die_with_parent()  # torchrun ends its processes, unless it is killed itself
    device = torch.device(call["device"])
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        with closing(_phase(call, device)) as progresses:
            for progress in progresses:
                if ranks.leads() and not _heard(progress._asdict()):
                    told_to_stop.append(signal.SIGPIPE)
                if ranks.any_of(bool(told_to_stop)):
                    return
    except UserError as error:
        if ranks.leads():
            _heard({"refused": str(error)})
    finally:
        dist.destroy_process_group()


def _heard(message: dict[str, Any]) -> bool:
    """Say it to whoever started this; whether anybody is left to hear it."""
    try:
        print(json.dumps(message), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # lest what is left in the buffer fail at exit
        return False
    return True


def _phase(call: dict[str, Any], device: torch.device) -> Any:
    config = RunConfig.model_validate(call["config"])
    folders: dict[str, Any] = {name: Path(path) for name, path in call["folders"].items()}
    if call["phase"] == "pretraining":
        shape = {"context": config.context, "seed": config.seed, "device": device, "sharded": config.sharded}
        return run_pretraining(config.generator, config.pretrain, **shape, **folders)
    parts = config.discriminator, config.objective, config.finetune
    return run_finetuning(*parts, seed=config.seed, device=device, **folders)


if __name__ == "__main__":
    main()
