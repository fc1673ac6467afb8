"""The selected generator, and the discriminator, as a bundle that needs no torch."""

import json
from collections.abc import Iterator
from pathlib import Path

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.export.provenance import provenance
from gdcore.progress import Progress
from gdcore.runs import Run, Stage
from tasks import show
from tasks.stage import build, stage


@stage("export")
def export(run: Run, config: RunConfig, tokens: Ref, evaluation: Ref, pretraining: Ref, finetuning: Ref) -> Stage:
    """Write the model that evaluation selected to ONNX, and check that it computes what torch computes."""
    judged = json.loads((run.store.path(evaluation) / "evaluation.json").read_text())
    selection = judged["selection"]
    selected = {"pretrained": pretraining, "finetuned": finetuning}[selection["selected"]]
    stages = {"tokens": tokens, "pretraining": pretraining, "finetuning": finetuning}
    about = provenance(judged, config, stages, run.store.path(tokens))

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.export.bundle import export_bundle
        from gdcore.export.showcase import showcase

        path, shown = run.store.path, showcase(judged, config.export.real_texts)
        return export_bundle(config.export, path(selected), path(finetuning), path(tokens), out, about, shown)

    plugins = {"discriminators": config.discriminator, "generators": config.generator}
    done = build(
        run,
        "export",
        make,
        config=config.model_dump(mode="json", include={"export"}) | {"about": about},
        inputs={"tokens": tokens, "selected": selected, "finetuning": finetuning, "evaluation": evaluation},
        sources=[
            "gdcore.export.bundle",
            "gdcore.export.showcase",
            *(f"gdcore.{kind}.{part.name}" for kind, part in plugins.items()),
        ],
    )
    show_bundle(run, done.ref)
    return done


def show_bundle(run: Run, exported: Ref) -> None:
    """Where the bundle and the report lie, and how to generate."""
    bundle = run.store.path(exported) / "bundle"
    report = run.folder / "report.html"
    command = f"    gdflow generate --bundle {bundle} --num 5 --seed 1"
    files = show.table(["file", "bytes"], [(path.name, path.stat().st_size) for path in sorted(bundle.iterdir())])
    lines = [f"Report: {show.plain(report)}", f"Bundle: {show.plain(bundle)}", command, files]
    show.markdown("bundle", "\n\n".join(lines), "Where the results lie")
