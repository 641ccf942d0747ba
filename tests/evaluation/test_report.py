"""Means over images, channels and groups."""

import csv
import math
from statistics import stdev

import pytest

from napari_im2im.evaluation.report import ImageScores, summarize, write_table


def scores(image, group, channel, value):
    return ImageScores(image, group, channel, "none", {"pcc": value, "mae": math.nan})


def test_each_image_counts_once_whatever_its_channels():
    rows = [
        scores("a", "drug", "DNA", 0.9),
        scores("a", "drug", "actin", 0.7),
        scores("b", "drug", "DNA", 0.6),
        scores("b", "drug", "actin", math.nan),
        scores("c", "control", "DNA", 0.5),
        scores("c", "control", "actin", 0.3),
    ]
    summaries = {(each.group, each.channel): each for each in summarize(rows)}
    whole = summaries["all", "all"]
    assert whole.images == 3
    assert whole.mean["pcc"] == pytest.approx((0.8 + 0.6 + 0.4) / 3)
    assert whole.std["pcc"] == pytest.approx(stdev([0.8, 0.6, 0.4]))
    assert summaries["drug", "DNA"].mean["pcc"] == pytest.approx(0.75)
    assert math.isnan(summaries["control", "actin"].std["pcc"])
    assert math.isnan(whole.mean["mae"])
    assert len(summaries) == 9


def test_one_group_and_one_channel_make_one_row():
    rows = [scores("a", "x", "DNA", 0.9), scores("b", "x", "DNA", math.inf)]
    (only,) = summarize(rows)
    assert only.mean["pcc"] == math.inf


def test_tables_leave_unknown_values_empty(tmp_path):
    rows = [scores("a", "x", "DNA", 0.9).row()]
    path = write_table(tmp_path / "new" / "metrics.csv", rows)
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "image": "a",
        "group": "x",
        "channel": "DNA",
        "normalization": "none",
        "pcc": "0.9",
        "mae": "",
    }
