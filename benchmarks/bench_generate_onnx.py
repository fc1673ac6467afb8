"""Generation from exported graphs beside torch, Hugging Face's `generate` and onnxruntime-genai: tokens a second.

    python -m benchmarks.bench_generate_onnx [--models lstm gpt] [--batch-sizes 1 16 128] [--rounds 3] [--device cuda]

An LSTM 32/32 with captions' vocabulary, whose texts end after 11 words on average, and a Transformer 4 × 256 with
2,000 tokens, whose texts are all of 64. Weights are random: speed does not depend on what they are, only on how long
the texts become. Ours is `generate.onnx`, in single precision and with weights of eight bits; the others draw by their
own means at temperature 1. On a GPU it is single precision beside torch on the same one. By what eight bits change a
model's likelihood is measured at every export (docs/bundles.md). The rivals: `pip install 'gdflow[peers]'
onnxruntime-genai`.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.bench_gpt import Unending, as_hugging_face
from benchmarks.captions import CONTEXT, MEAN_LENGTH, VOCAB_SIZE
from benchmarks.lines import skip
from benchmarks.racing import Work, race, weights
from gdcore.contracts import Generator
from gdcore.export.genai import CONFIG, write_genai
from gdcore.export.generation import generation_model
from gdcore.export.step import Step
from gdcore.generators import lstm, transformer
from gdcore.sampling import sample
from gdcore.serving.runtime import Device, Graph
from gdcore.tokenizer import BOS, EOS, PAD
from gdcore.uniforms import row_seeds

OPSET, LENGTH, GENAI_MOST = 20, 64, 32
REACHES = {
    "onnx": {"torch": 2.0, "huggingface": 3.0, "genai": 1.0},
    "int8": {"torch": 4.0, "huggingface": 5.0, "genai": 1.8},
}


def make_lstm() -> Generator:
    torch.manual_seed(0)
    config = lstm.Config(embedding_dim=32, hidden_dim=32, dropout=0, tied=False)
    model = lstm.Generator(config, VOCAB_SIZE, CONTEXT).eval()
    with torch.no_grad():
        model.output.bias[EOS] = np.log(VOCAB_SIZE / MEAN_LENGTH)
    return model


def make_gpt() -> transformer.Generator:
    torch.manual_seed(0)
    config = transformer.Config(hidden_dim=256, num_layers=4, num_heads=4, num_kv_heads=4, mlp_dim=704, dropout=0)
    return Unending(config, 2_000, LENGTH).eval()


def by_graph(graph: Graph, context: int, num: int) -> Work:
    """Tokens written by one run of the whole-generation graph, each text's end among them."""
    calls = iter(range(1_000_000))

    def work() -> float:
        new_BN = graph(
            prompt_ids=np.full((num, 1), BOS),
            prompt_lengths=np.ones(num, np.int64),
            max_new_tokens=context,
            temperature=np.float32(1),
            top_k=0,
            top_p=np.float32(1),
            min_p=np.float32(0),
            seeds=row_seeds(next(calls), num),
        )[0]
        return int((new_BN != PAD).sum())

    return repeated(work, num)


def by_torch(model: Generator, num: int) -> Work:
    """The same by the sampler that training uses, where the model is."""
    calls = iter(range(1_000_000))

    def work() -> float:
        texts = sample(model, num, seed=next(calls))
        return sum(min(len(text) + 1, model.context - 1) for text in texts)

    return repeated(work, num)


def repeated(work: Work, num: int) -> Work:
    """So often that texts of chance lengths average out."""
    return lambda: sum(work() for _ in range(max(1, 4 // num)))


def by_hugging_face(model: Generator) -> Callable[[int], Work] | None:
    generate = as_hugging_face(model) if isinstance(model, transformer.Generator) else None
    return generate and (lambda num: lambda: generate(num)[:, 1:].numel())


def by_genai(model: transformer.Generator, folder: Path) -> Callable[[int], Work] | None:
    """onnxruntime-genai over its own graph; None where it is not installed."""
    try:
        import onnxruntime_genai as genai  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    write_genai(model, OPSET, folder)
    told = json.loads((folder / CONFIG).read_text())
    told["model"]["decoder"]["session_options"] |= {"intra_op_num_threads": torch.get_num_threads()}
    (folder / CONFIG).write_text(json.dumps(told))
    opened = genai.Model(str(folder))

    def of(num: int) -> Work:
        def work() -> float:
            parameters = genai.GeneratorParams(opened)
            whole = {"max_length": LENGTH, "min_length": LENGTH, "batch_size": num}
            parameters.set_search_options(do_sample=True, top_k=0, top_p=1.0, temperature=1.0, **whole)
            writer = genai.Generator(opened, parameters)
            writer.append_tokens(np.full((num, 1), BOS, np.int32))
            while not writer.is_done():
                writer.generate_next_token()
            return num * (len(writer.get_sequence(0)) - 1)

        return work

    return of


def compete(name: str, model: Generator, sizes: list[int], rounds: int, device: Device) -> None:
    """All races of one model."""
    steps = {"onnx": Step(model, OPSET)}
    if device == "cpu":  # a GPU's eight-bit products would be taken back to the processor
        steps["int8"] = steps["onnx"].in_int8()
    threads = torch.get_num_threads()
    graphs = {
        kind: Graph(generation_model(step, OPSET).SerializeToString(), threads, device) for kind, step in steps.items()
    }
    if device == "cuda":
        model.cuda()
    looked_up = () if isinstance(model, transformer.Generator) else ("embedding.weight",)
    flop = 2 * weights(model, *looked_up)
    for num, rival, theirs in rivals(model, sizes, device):
        for ours, graph in graphs.items():
            full = f"{ours}_{name}_{num}_{rival}"
            if isinstance(theirs, str):
                skip(full, theirs)
                continue
            race(full, "tokens", by_graph(graph, model.context, num), theirs, REACHES[ours][rival], rounds, flop=flop)


def rivals(model: Generator, sizes: list[int], device: Device) -> Iterator[tuple[int, str, Work | str]]:
    """Batch size, name, and either what it does or what has to be installed."""
    for num in sizes:
        yield num, "torch", by_torch(model, num)
    if not isinstance(model, transformer.Generator) or device == "cuda":
        return  # recurrent: the others know no such model
    hugging_face = by_hugging_face(model)
    for num in sizes:
        yield num, "huggingface", hugging_face(num) if hugging_face else "pip install 'gdflow[peers]'"
    with TemporaryDirectory() as folder:
        genai = by_genai(model, Path(folder))
        for num in sizes:
            if num <= GENAI_MOST:  # it refuses more
                yield num, "genai", genai(num) if genai else "pip install onnxruntime-genai"


def main() -> None:
    models = {"lstm": make_lstm, "gpt": make_gpt}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=models, default=list(models))
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 16, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {given.device}")
    for name in given.models:
        compete(name, models[name](), given.batch_sizes, given.rounds, given.device)


if __name__ == "__main__":
    main()
