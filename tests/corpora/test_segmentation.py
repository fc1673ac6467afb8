"""Spaced or unspaced, by what the text is."""

import polars as pl
import pytest

from gdcore.corpora.segmentation import count, decide

ENGLISH = "A cat sits on the mat and looks out of the window."


@pytest.mark.parametrize(
    ("texts", "kind", "why"),
    [
        ([ENGLISH], "spaced", "0% of the 50 characters"),
        (["今天天气很好，我们去公园散步吧。"], "unspaced", "88% of the 16 characters"),
        (["今日は天気がいいので、公園へ行きます。"], "unspaced", "are of scripts written without spaces"),
        (["วันนี้อากาศดี เราไปเดินเล่นที่สวน"], "unspaced", "are of scripts written without spaces"),
        (["ថ្ងៃនេះអាកាសធាតុល្អ"], "unspaced", "are of scripts written without spaces"),
        (["一心一意", "马到成功"], "unspaced", "100% of the 8 characters"),  # idioms: short, yet not separated
        (["床 前 明 月 光 疑 是 地 上 霜"], "spaced", "the words are separated already: a space after every 1.1"),
        (["오늘은 날씨가 좋아서 공원에 갑니다."], "spaced", "0% of"),
        ([ENGLISH, "He wrote 猫 and 犬."], "spaced", "3% of"),
        ([], "spaced", "0% of the 0 characters"),
    ],
)
def test_segmentation(texts: list[str], kind: str, why: str) -> None:
    decided, reason = decide(*count(pl.Series(texts, dtype=pl.String)))
    assert decided == kind
    assert why in reason
