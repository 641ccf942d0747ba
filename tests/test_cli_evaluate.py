"""Evaluating from the command line."""

import json

import numpy as np
import pytest

from napari_im2im.cli import DONE, FAILED, MISUSED, main
from napari_im2im.images import Image, save_image


@pytest.fixture
def words(tmp_path):
    random = np.random.default_rng(0)
    for number in range(2):
        truth = random.normal(100, 20, (40, 48)).astype("float32")
        for kind, pixels in (("truth", truth), ("predicted", truth + 1)):
            image = Image(pixels, ("y", "x"))
            save_image(image, tmp_path / f"{number}_{kind}.ome.tif")
    return [
        "evaluate",
        *("--predictions", str(tmp_path / "*_predicted.ome.tif")),
        *("--truth", str(tmp_path / "*_truth.ome.tif")),
    ]


def test_the_means_are_printed_and_the_tables_written(words, tmp_path, capsys):
    assert main([*words, "--output", str(tmp_path / "out")]) == DONE
    output = capsys.readouterr()
    assert "PSNR (dB)" in output.out
    assert "2" in output.out.splitlines()[1].split()
    assert str(tmp_path / "out" / "summary.csv") in output.out
    assert "Not normalised" in output.err
    assert main([*words, "--output", str(tmp_path / "out")]) == MISUSED


def test_json_is_one_object_a_line(words, capsys):
    assert main([*words, "--json", "--normalization", "lightmycells"]) == DONE
    output = capsys.readouterr()
    lines = [json.loads(line) for line in output.out.splitlines()]
    assert output.err == ""
    assert lines[-1]["event"] == "EvaluationFinished"
    assert lines[-1]["summaries"][0]["mean"]["pcc"] == pytest.approx(1)
    assert sum(line["event"] == "ImageScored" for line in lines) == 2


def test_a_failed_image_is_named_at_the_end(words, tmp_path, capsys):
    (tmp_path / "0_predicted.ome.tif").write_bytes(b"not a TIFF")
    assert main(words) == FAILED
    assert "1 of 2 images failed: 0_predicted.ome.tif" in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_compared_and_writes_nothing(
    words, tmp_path, capsys
):
    output = tmp_path / "out"
    words += ["--output", str(output), "--error_maps", "--dry-run"]
    assert main([*words, "--normalization", "percentiles"]) == DONE
    said = capsys.readouterr().out
    assert (
        f"{tmp_path / '0_predicted.ome.tif'} ↔ {tmp_path / '0_truth.ome.tif'}" in said
    )
    assert f"2 images to compare ({tmp_path.name} 2), by PSNR, SSIM" in said
    assert "percentiles 0.1 and 99.9" in said
    assert str(output / "errors" / "1_predicted_error.ome.tif") in said
    assert main([*words, "--json"]) == DONE
    (line,) = capsys.readouterr().out.splitlines()
    forecast = json.loads(line)
    assert forecast["event"] == "EvaluationForecast"
    assert forecast["groups"] == {tmp_path.name: 2}
    assert forecast["comparisons"][1]["channels"] == ["0"]
    assert not output.exists()


def test_a_dry_run_refuses_what_the_run_refuses(words, tmp_path, capsys):
    assert main([*words, "--dry-run", "--channels", "0"]) == FAILED
    refused = capsys.readouterr().err
    assert main([*words, "--channels", "0"]) == FAILED
    assert refused.strip() in capsys.readouterr().err
    (tmp_path / "0_predicted.ome.tif").write_bytes(b"not a TIFF")
    assert main([*words, "--dry-run"]) == FAILED
    output = capsys.readouterr()
    assert "1 of 2 images would fail: 0_predicted.ome.tif" in output.err
    assert "1 image to compare" in output.out
    (tmp_path / "0_truth.ome.tif").unlink()
    assert main([*words, "--dry-run"]) == FAILED
    assert "2 inputs don't pair with 1 targets" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("further", "sentence"),
    [
        (["--model", "m"], "either predictions"),
        (["--error_maps"], "error maps need a folder"),
        (["--normalization", "percentile"], "--normalization 'percentile'"),
    ],
)
def test_what_can_not_be_meant_is_refused(words, further, sentence, capsys):
    assert main([*words, *further]) == MISUSED
    assert sentence in capsys.readouterr().err
