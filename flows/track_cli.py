"""The command that copies a run into an experiment tracker."""

from typing import Annotated

from typer import Argument, Option

from flows.console import answer, quiet_stdout
from flows.options import HERE, Home, Json

EXAMPLES = """Examples:\n
    gdflow log --mlflow sqlite:///mlflow.db\n
    gdflow log 20260102T030405Z_coco_ab12 --mlflow http://127.0.0.1:5000 --experiment captions"""


def log(
    mlflow: Annotated[str, Option(help="MLflow's tracking store: an address, or sqlite:///FILE.")],
    run: Annotated[str, Argument(help="Name of the run, or the beginning of it.")] = "latest",
    experiment: Annotated[str, Option(help="What MLflow files it under.")] = "gdflow",
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Copy a run's settings, curves, figures and report into MLflow. TensorBoard needs no copy: point it at runs/."""
    import typer

    from gdcore import runs
    from gdcore.tracking import log_to_mlflow

    found = runs.find(home, run)
    with quiet_stdout():
        result = log_to_mlflow(found, mlflow, experiment) | {"run": found.name}
    words = {"logged": "Logged", "known": "Already there:"}[result["state"]]
    answer(result, json, lambda told: typer.echo(f"{words} {told['run']} as {told['run_id']} in {told['experiment']}"))
