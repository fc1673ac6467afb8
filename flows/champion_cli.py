"""The commands about champions; `flows.cli` has the others."""

import getpass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from flows.console import answer, quiet_stdout, settings
from flows.options import HERE, NONE, Corpus, Home, Json, PromptColumn, Set, TextColumn, Train
from gdcore.errors import UserError

Name = Annotated[str, Option(help="Which champion; by default the one that the run's settings name.")]

RELEASE_EXAMPLES = """Examples:\n
    gdflow release\n
    gdflow release 20260102T030405Z_coco_ab12 --approve --comment "reads better"\n
    gdflow release --rollback\n
    gdflow release --history --json"""


def release(
    run: Annotated[str, Argument(help="The challenger; by default the newest run that finished.")] = "latest",
    approve: Annotated[bool, Option("--approve", help="Make it the champion, whatever the rule says.")] = False,
    reject: Annotated[bool, Option("--reject", help="Keep it out, whatever the rule says.")] = False,
    judge: Annotated[bool, Option("--judge", help="Say what the rule says, and change nothing.")] = False,
    rollback: Annotated[bool, Option("--rollback", help="Go back to the champion before this one.")] = False,
    history: Annotated[bool, Option("--history", help="Show what was decided, when, by whom and why.")] = False,
    by: Annotated[str, Option(help="Who decides; by default the user of this shell.")] = "",
    comment: Annotated[str, Option(help="Why; recorded with the decision.")] = "",
    name: Name = "",
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Judge a run's model against the champion on today's held-out text, and promote or reject it."""
    from flows import results

    asked = {"--approve": approve, "--reject": reject, "--judge": judge, "--rollback": rollback, "--history": history}
    if len(given := [option for option, chosen in asked.items() if chosen]) > 1:
        raise UserError(f"{' and '.join(given)} do not go together: give one of them")
    if (by or comment) and not (approve or reject or rollback):
        raise UserError("--by and --comment go with --approve, --reject or --rollback: they say who decided, and why")
    if history:
        answer(_history(home, name), json, results.show_history)
        return
    person = by or (_user() if approve or reject or rollback else "")
    if rollback:
        with quiet_stdout():
            from flows.release import roll_back

            result = roll_back(home, _existing(home, name), person, comment)
        answer(result, json, results.show_rollback)
        return
    from flows.server import connected
    from gdcore import runs

    challenger = runs.find(home, run).name  # a misspelt one is told at once
    with quiet_stdout(), connected(home) as ready:
        from flows.release import release as release_flow

        decide = "approve" if approve else "reject" if reject else "nobody" if judge else "rule"
        ready()
        result = release_flow(challenger, decide, person, comment, name, home.absolute())
    answer(result, json, results.show_release)


DRIFT_EXAMPLES = """Examples:\n
    gdflow drift\n
    gdflow drift --corpus texts/ --set max_new_words=0.05 --json"""


def drift(
    corpus: Corpus = NONE,
    train: Train = NONE,
    text_column: TextColumn = None,
    prompt_column: PromptColumn = None,
    set_: Set = NONE,
    name: Annotated[str, Option(help="Which champion's text is watched.")] = "",
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Compare today's text with what the champion learnt from, and say whether retraining is due."""
    from flows.results import show_drift
    from flows.server import connected
    from gdcore.corpora.config import CorpusConfig
    from gdcore.explain import parsed

    given = {"paths": corpus, "train": train, "text_column": text_column, "prompt_column": prompt_column}
    chosen = parsed(CorpusConfig, {key: value for key, value in given.items() if value})
    with quiet_stdout(), connected(home) as ready:
        from flows.drift import drift as drift_flow
        from gdcore.release.drift import DriftConfig

        limits = parsed(DriftConfig, settings(set_))
        ready()
        result = drift_flow(_existing(home, name), chosen, limits, home.absolute())
    answer(result, json, show_drift)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without users
        raise UserError("who decides? This machine does not know your name: say it with --by") from None


def chosen_bundle(bundle: Path | None, champion: bool, name: str, home: Path) -> Path:
    """The bundle that a command is about, the latest run's where none is named.

    Raises UserError for options that do not go together.
    """
    if bundle and champion:
        raise UserError("--bundle and --champion do not go together: give one of them")
    if name and not champion:
        raise UserError("--name says which champion: give --champion too")
    return champion_bundle(home, name) if champion else bundle or home / "runs" / "latest" / "bundle"


def champion_bundle(home: Path, name: str) -> Path:
    """The champion's bundle. Raises UserError where there is none."""
    from gdcore.artifacts import Store
    from gdcore.release.champion import Champion

    return Champion(Store(home.absolute() / "artifacts"), _existing(home, name)).bundle()


def _history(home: Path, name: str) -> dict[str, object]:
    from gdcore.artifacts import Store
    from gdcore.release.champion import Champion

    champion = Champion(Store(home.absolute() / "artifacts"), _existing(home, name))
    decisions = champion.history()
    present = champion.current()
    return {
        "name": champion.name,
        "champion": present and present.model_dump(mode="json"),
        "history": [decision.model_dump(mode="json") for decision in decisions],
    }


def _existing(home: Path, name: str) -> str:
    """The name given; left out, the only one there is, or the default. Raises UserError for one that is not there."""
    from gdcore.artifacts import Store
    from gdcore.release.champion import DEFAULT, names

    known = names(Store(home.absolute() / "artifacts"))
    if name and known and name not in known:
        raise UserError(f"there is no champion named {name!r}; there are {', '.join(known)}")
    return name or (known[0] if len(known) == 1 else DEFAULT)
