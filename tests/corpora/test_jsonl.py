"""The reader of JSON lines: columns, classes, and every way a line can be wrong."""

import json
from pathlib import Path

import pytest

from gdcore.errors import UserError
from tests.corpora.corpus_case import build, build_bytes, train_texts


def lines(*objects: object) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in objects).encode()


def test_columns(tmp_path: Path) -> None:
    data = lines({"q": "why?", "a": "because", "k": 3, "z": None}, {"q": "how", "a": "so", "k": True})
    built = build_bytes(tmp_path, data, ".jsonl", text_column="a", prompt_column="q", label_column="k")
    # the filler sides have no columns: their texts stand alone
    assert built.texts["train"].select("text", "prompt", "label", "source", "line").rows() == [
        ("because", "why?", "3", "data.jsonl", 1),
        ("so", "how", "true", "data.jsonl", 2),
    ]


def test_rejected_lines(tmp_path: Path) -> None:
    data = (
        lines({"text": "good", "p": "yes"})
        + b"{not json\n\n[1]\n"
        + lines({"p": "x"}, {"text": None, "p": "x"}, {"text": 5, "p": "x"}, {"text": "a"}, {"text": "a", "p": ["x"]})
        + b'{"text": "half \\ud83d pair", "p": "x"}\n'
        + b"[" * 100_000
        + b"\n"
        + lines({"text": "a", "p": " "})
    )
    built = build_bytes(tmp_path, data, ".jsonl", prompt_column="p")
    assert train_texts(built) == ["good"]
    assert [(line, reason) for _, line, reason in built.quarantine] == [
        (2, "invalid_json"),
        (3, "empty"),
        (4, "not_an_object"),
        (5, "missing_text"),
        (6, "missing_text"),
        (7, "wrong_type_text"),
        (8, "missing_prompt"),
        (9, "wrong_type_prompt"),
        (10, "invalid_bytes"),
        (11, "invalid_json"),
        (12, "empty_prompt"),
    ]
    assert built.quarantine[3][0] == '{"p": "x"}'  # the record is the line


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    built = build_bytes(tmp_path, b'\xef\xbb\xbf{"text": "one"}\r\n{"text": "two"}\r\n', ".jsonl")
    assert train_texts(built) == ["one", "two"]
    assert built.summary["repaired"] == {"bom": 1, "line_ending": 2}


def test_same_text_to_another_prompt_is_no_repetition(tmp_path: Path) -> None:
    data = lines({"text": "yes", "p": "a"}, {"text": "yes", "p": "b"}, {"text": "yes", "p": "a"})
    built = build_bytes(tmp_path, data, ".jsonl", prompt_column="p")
    assert built.texts["train"]["prompt"].to_list() == ["a", "b"]


@pytest.mark.parametrize("role", ["text", "prompt", "label", "group"])
def test_a_column_that_is_nowhere(tmp_path: Path, role: str) -> None:
    options = {f"{role}_column": "body"}
    with pytest.raises(
        UserError, match=rf"data.jsonl has no column 'body' for the {role}; its columns are: text, id\."
    ):
        build_bytes(tmp_path, lines({"text": "x", "id": 1}), ".jsonl", **options)
    assert list((tmp_path / "out").iterdir()) == []


def test_prompt_and_its_answers_stay_on_one_side(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(lines(*({"text": f"answer {i}", "p": f"question {i % 40}"} for i in range(400))))
    built = build(tmp_path / "out", paths=(str(path),), prompt_column="p", valid_fraction=0.2, test_fraction=0.2)
    prompts = [set(frame["prompt"]) for frame in built.texts.values()]
    assert all(prompts)
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 40


def test_groups_stay_on_one_side(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(lines(*({"text": f"text {i} of {i % 30}", "author": i % 30} for i in range(300))))
    built = build(tmp_path / "out", paths=(str(path),), group_column="author", valid_fraction=0.2, test_fraction=0.2)
    authors = [set(frame["text"].str.split(" ").list.last()) for frame in built.texts.values()]
    assert sum(map(len, authors)) == len(set.union(*authors)) == 30
