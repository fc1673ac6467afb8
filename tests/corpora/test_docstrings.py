"""Prose out of documentation: structure, markup, and real packages."""

import re
import sys
from pathlib import Path

import polars as pl
import pytest

from gdcore.corpora import docstrings
from gdcore.corpora.build import EMBEDDED, CorpusConfig, source_versions
from gdcore.corpora.prose import MAX_WORDS, MIN_WORDS, candidates, plain
from gdcore.errors import UserError
from tests.corpora.corpus_case import build

NUMPY_STYLE = """
    Return the mean of the values, e.g. of a column. The
    result is a float.

    Parameters
    ----------
    values : array_like
        The values whose mean
        is wanted.
    weights : Array or None, by default one of these
        Weights of the values.

    Returns
    -------
    Mean
        The mean itself, or None.

    .. note:: The mean of nothing
       is not a number.

    .. versionadded:: 1.2
       Weights are normalised first.

    .. code-block:: python

        Mean(values).This is code.

    An example follows::

        A literal block. It is code.

    >>> mean([1, 2])
    This is output.

    =====  =====
    A      B.
    =====  =====

    References
    ----------
    A. Author. The book of means.

    Notes
    -----
    1. The first item ends here.
    2. The second
       item ends there.
"""

GOOGLE_STYLE = """Fits the model.

    Args:
        x (Tensor, optional): The input of the model. It has
            two dimensions.
        name: What to call it.

    Returns:
        Tensor: The fitted values.

    ```python
    Fenced code is passed over.
    ```
    Last words of it.
"""


def test_sentences_of_numpy_style() -> None:
    assert list(candidates(NUMPY_STYLE)) == [
        "Return the mean of the values, e.g. of a column.",
        "The result is a float.",
        "The values whose mean is wanted.",
        "Weights of the values.",
        "The mean itself, or None.",
        "The mean of nothing is not a number.",
        "Weights are normalised first.",
        "The first item ends here.",
        "The second item ends there.",
    ]


def test_sentences_of_google_style() -> None:
    assert list(candidates(GOOGLE_STYLE)) == [
        "Fits the model.",
        "The input of the model.",
        "It has two dimensions.",
        "What to call it.",
        "The fitted values.",
        "Last words of it.",
    ]


def verdicts(*records: str) -> list[tuple[str, str | None]]:
    return plain(pl.DataFrame({"record": records})).select("text", "reason").rows()


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (
            "Create a block diagonal matrix from provided tensors.",
            "Create a block diagonal matrix from provided tensors.",
        ),
        ("A :class:`~torch.nn.Module` holds its own parameters.", "A Module holds its own parameters."),
        ("See :ref:`the long guide <guide-long>` for more details.", "See the long guide for more details."),
        ("Returns ``None`` if `x` is **not** an *empty* list.", "Returns None if x is not an empty list."),
        ("The [user guide](https://x.org/a_(b)) explains it all.", "The user guide explains it all."),
        ("Read the `manual <http://x.org>`_ before you start.", "Read the manual before you start."),
        ("This was shown in 1990 by him [1]_ and others.", "This was shown in 1990 by him and others."),
        ("Calls :meth:`close()` and then ``flush()`` on it.", "Calls close and then flush on it."),
        ("It uses the Options_ that were given to it.", "It uses the Options that were given to it."),
    ],
)
def test_markup_becomes_words(record: str, text: str) -> None:
    assert verdicts(record) == [(text, None)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("See https://example.org for the whole story here.", "link"),
        ("The file is in /etc/hosts on most of them.", "link"),
        ("The name is {name} in all of these messages.", "placeholder"),
        ("Given :math:`x^2 + y`, find the roots of it.", "formula"),
        ("It holds that a <= b for each of them.", "formula"),
        ("The value of α is taken from the table.", "formula"),
        ("Sets the attribute some_name of the given object.", "code"),
        ("Use np.array instead of a list for this.", "code"),
        ("Call f(x) for each of the elements in it.", "code"),
        ("The camelCase option is not used any more.", "code"),
        ("This ~substitution is not known to anyone here.", "leftover_markup"),
        ("this sentence does not begin with a capital.", "unfinished"),
        ("The list (see below is not closed anywhere.", "unfinished"),
        ("The algorithm of it is described in [1]_.", "unfinished"),
        ("If the tree is not an instance of it.", "unfinished"),
        ("The list is empty. axis must be an integer.", "unfinished"),
        ("Too few words.", "few_words"),
        (f"The {'very ' * MAX_WORDS}long sentence.", "many_words"),
        ("THIS IS ALL IN CAPITALS AND SHOUTS.", "not_prose"),
        ("Returns the the value of the given key.", "not_prose"),
    ],
)
def test_what_is_no_prose(record: str, reason: str) -> None:
    assert verdicts(record)[0][1] == reason


MODULE = '''"""The module says what it is for."""
import nowhere_to_be_found
raise RuntimeError("nobody may import this")

class Thing:
    """A thing that has one attribute only."""
    size: int = Field(description="How large the thing is.")
    """The attribute is documented below itself."""

def act(thing: Annotated[Thing, Doc("The thing that is acted upon.")]) -> None:
    """Act on it as one would expect."""

add_docstr(act, r"""
Documented from outside, as compiled code is.
""")
other = _add_docstr(act, r"""
A function that came from elsewhere.
""")
note = "A string that documents nothing at all."
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "somewhere" / "a_small_package"
    (root / "tests").mkdir(parents=True)
    (root / "_hidden").mkdir()
    (root / "__init__.py").write_text(MODULE)
    (root / "broken.py").write_text('"""Not Python of any version."""\n(')
    for inner in ("tests/test_it.py", "_hidden/it.py"):
        (root / inner).write_text('"""Nobody reads this sentence anyway."""')
    monkeypatch.syspath_prepend(root.parent)
    return root


def test_reads_without_importing(package: Path) -> None:
    (frame, done, total), *more = docstrings.read(["a_small_package"])
    assert not more
    assert (done, total) == (2, 2)
    assert frame.filter(pl.col("reason").is_null()).select("text", "line").rows() == [
        ("The module says what it is for.", 1),
        ("A thing that has one attribute only.", 6),
        ("How large the thing is.", 7),
        ("The attribute is documented below itself.", 8),
        ("The thing that is acted upon.", 10),
        ("Act on it as one would expect.", 11),
        ("Documented from outside, as compiled code is.", 13),
        ("A function that came from elsewhere.", 16),
    ]
    assert set(frame["source"]) == {"a_small_package/__init__.py"}
    assert set(frame["label"]) == {"a_small_package"}
    assert "a_small_package" not in sys.modules


def test_modules_that_are_nearly_all_code_are_passed_over(package: Path) -> None:
    (package / "broken.py").write_text('"""A sentence in a heap of code."""\n' + "x = 1\n" * 1_000)
    ((frame, *_),) = docstrings.read(["a_small_package"])
    assert set(frame["source"]) == {"a_small_package/__init__.py"}


def test_version_of_a_package_without_one_is_its_content(package: Path) -> None:
    config = CorpusConfig(docstrings=("a_small_package",))
    before = source_versions(config)["a_small_package"]
    assert before.startswith("sha256:")
    (package / "__init__.py").write_text(MODULE + "\n")
    assert source_versions(config)["a_small_package"] != before


def test_missing_packages(package: Path) -> None:
    with pytest.raises(UserError, match=r"No package named 'tipper' is installed.* Did you mean .*typer"):
        source_versions(CorpusConfig(docstrings=("tipper",)))
    assert source_versions(CorpusConfig(docstrings=("tipper?",))) == {}
    (package / "__init__.py").rename(package / "__init__.pyc")
    (package / "broken.py").unlink()
    with pytest.raises(UserError, match=r"'a_small_package' is installed without its .py sources"):
        source_versions(CorpusConfig(docstrings=("a_small_package",)))
    with pytest.raises(UserError, match=r"No package named 'torch\.nn'"):
        source_versions(CorpusConfig(docstrings=("torch.nn",)))


RESIDUE = re.compile(r"[`{}\[\]<>|\\^$~@#*=_]|https?:|:\w+:|>>>|\.\. |  |\.\w+\(")


def test_a_real_package_split_by_module(tmp_path: Path) -> None:
    built = build(tmp_path / "out", docstrings=("networkx",))
    assert 4_000 < built.summary["used"] < 9_000
    assert built.summary["segmentation"] == "spaced"
    modules = [set(frame["source"]) for frame in built.texts.values()]
    assert sum(map(len, modules)) == len(set.union(*modules))
    assert all(set(frame["label"]) == {"networkx"} for frame in built.texts.values())
    for text in built.used:
        assert MIN_WORDS <= len(text.split(" ")) <= MAX_WORDS
        assert not RESIDUE.search(text), text


@pytest.mark.slow
def test_the_embedded_corpus(tmp_path: Path) -> None:
    built = build(tmp_path / "out")
    assert built.summary["used"] > 40_000
    assert len(set(built.used)) == built.summary["used"]
    assert {name for name in EMBEDDED if not name.endswith("?")} <= set(pl.concat(built.texts.values())["label"])
    assert not [text for text in built.used if RESIDUE.search(text)]
    assert min(built.summary["splits"].values()) > 1_000
