"""Where it all comes from: the corpus, the configuration, what every artifact's digest is, and the machine."""

from html import escape
from typing import Any

from gdcore.report.markup import counts, details, note, pairs, section, table

Row = dict[str, Any]


def data(result: Row, corpus: Row, validation: Row, data_docs: str) -> str:
    """Records read, used and thrown out; `data_docs` is the address of the Data Docs from where the page lies."""
    splits = {f"{name} texts": count for name, count in result["splits"].items()}
    splits |= {f"{name} texts not looked at": count for name, count in result.get("not_looked_at", {}).items()}
    link = f'<p><a href="{escape(data_docs)}">Data Docs: every rule and what it found</a></p>' if data_docs else ""
    if not corpus:
        return section("data", "Data", counts(splits), link)
    reasons = {**corpus.get("reasons", {}), **validation.get("reasons", {})}
    quarantined = corpus.get("quarantined", 0) + validation.get("quarantined", 0)
    used = validation.get("used", corpus.get("used", 0))
    return section(
        "data",
        "Data",
        counts({"records read": corpus.get("read", 0), "used": used, "quarantined": quarantined, **splits}),
        note(_writing(corpus)),
        '<div class="cards">'
        + _most("Why records were quarantined", reasons)
        + _most("What was repaired", corpus.get("repaired", {}))
        + "</div>",
        link,
    )


def _writing(corpus: Row) -> str:
    kind = {"spaced": "Words are parted by spaces", "unspaced": "Words are not parted by spaces"}
    found, reason = kind.get(corpus.get("segmentation", "")), corpus.get("segmentation_reason", "")
    return ": ".join(filter(None, [found, reason]))


def _most(title: str, found: dict[str, int]) -> str:
    """Counts, the largest first."""
    lines = sorted(((name, count) for name, count in found.items() if count), key=lambda pair: -pair[1])
    cells = [[escape(name.replace("_", " ")), f"{count:,}"] for name, count in lines]
    return f"<div><h3>{title}</h3>{table(None, cells)}</div>" if cells else ""


def made(result: Row, about: Row) -> str:
    """Protocol, seed, digests, configuration, environment: what it takes to do it again."""
    told = {"protocol": str(result["protocol"]), "seed": str(result.get("seed", ""))}
    environment: dict[str, str] = about.get("environment", {})
    refs = [[escape(stage), f"<code>{escape(str(ref))}</code>"] for stage, ref in about.get("refs", {}).items()]
    config = f"<pre>{escape(about['config'])}</pre>" if about.get("config") else ""
    return section(
        "made",
        "What made this",
        note(result.get("about", "")),
        pairs({name: value for name, value in (told | environment).items() if value}),
        table(["artifact", "digest of its content"], refs, label="Artifacts") if refs else "",
        details("Resolved configuration", config),
    )
