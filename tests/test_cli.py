"""The command line, in this process and as users start it."""

import json
import subprocess
import sys

import pytest
from pydantic import BaseModel, ConfigDict, Field

from napari_im2im.cli import DONE, FAILED, INTERRUPTED, MISUSED, commands, main
from napari_im2im.cli.arguments import parse_command
from napari_im2im.cli.commands import COMMANDS
from napari_im2im.cli.options import nearest, options_of
from napari_im2im.cli.train import Train
from napari_im2im.errors import ConfigError, DataError


def parse(*words):
    return parse_command(words, COMMANDS)


def test_any_nested_key_can_be_set():
    job = parse(
        "train",
        "--name=dna",
        "--optimizer.learning-rate",
        "3e-4",
        "--network.kwargs.features",
        "[8, 8, 16, 32, 64, 8]",
        "--network.kwargs.act.name",
        "relu",
        "--loss.l1",
        "0.5",
        "--loss.ssim=0.5",
        "--patch.y",
        "64",
        "--patch.x",
        "96",
    )
    assert isinstance(job, Train)
    assert job.name == "dna"
    assert job.optimizer.learning_rate == 3e-4
    assert job.network.kwargs == {
        "features": [8, 8, 16, 32, 64, 8],
        "act": {"name": "relu"},
    }
    assert job.loss == {"l1": 0.5, "ssim": 0.5}
    assert job.patch == {"y": 64, "x": 96}


def test_mappings_are_written_as_the_help_shows_them():
    words = ("--tile", "{y: 64, x: 96}", "--region", "{y: [0, 512]}", "--halo", "exact")
    job = parse("predict", *words, "--tile.x", "32", "--objects", "{foreground: 0.5}")
    assert job.tile == {"y": 64, "x": 32}
    assert job.region == {"y": (0, 512)}
    assert job.halo == "exact"
    assert job.objects.foreground == 0.5
    assert parse("predict", "--tile", "y=64,x=32").tile == {"y": 64, "x": 32}


def test_files_of_a_shell_pattern_and_names_with_commas_arrive_whole():
    job = parse(
        "train", "--data.inputs", "a,b.tif", "c d.tif", "--data.targets", "t.tif"
    )
    assert job.data.inputs == ["a,b.tif", "c d.tif"]
    assert job.data.targets == ["t.tif"]


def test_lists_of_numbers_flags_and_mixed_types():
    job = parse(
        "predict",
        "--channels",
        "2",
        "0",
        "--overwrite",
        "--halo.y",
        "16",
        "--model",
        "m",
    )
    assert job.channels == [2, 0]
    assert job.overwrite is True
    assert job.halo == {"y": 16}
    assert parse("predict", "--halo", "exact", "--no-overwrite").halo == "exact"


def test_options_override_the_yaml_file(tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text("name: a\nseed: 3\noptimizer: {learning_rate: 0.01, warmup: 0.2}\n")
    job = parse(
        "train", "--config", str(file), "--name", "b", "--optimizer.warmup", "0.1"
    )
    assert (job.name, job.seed) == ("b", 3)
    assert job.optimizer.learning_rate == 0.01
    assert job.optimizer.warmup == 0.1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trian"], "There is no command trian; did you mean train?"),
        (["train", "--netwrk.name", "x"], "did you mean --network.name?"),
        (["train", "--lerning_rate", "1"], "did you mean --optimizer.learning_rate?"),
        (["train", "--seed", "many"], "--seed 'many' can't be used"),
        (["train", "--effort.seconds", "-3"], "greater than 0"),
        (["train", "--effort", "long"], "write several keys as {key: value}"),
        (["predict", "--tile", "64"], "--tile 64 can't be used"),
        (["train", "--seed"], "--seed: expected one argument"),
        (["predict", "--inputs"], "--inputs: expected one argument"),
        (["train", "stray.tif"], "stray.tif"),
        (["train"], "--data.inputs"),
        (["predict", "--model", "m"], "--inputs"),
        (["train", "--config", "missing.yaml"], "missing.yaml can't be read"),
    ],
)
def test_a_wrong_command_ends_with_one_sentence_and_code_2(words, sentence, capsys):
    assert main(words) == MISUSED
    output = capsys.readouterr()
    assert output.out == ""
    assert sentence in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--augmentation.rotation", "far"),
            "--augmentation.rotation 'far' can't be used: input should be a valid num",
        ),
        (("--task", "semantic", "--loss.l1", "1"), "train: the task semantic has no"),
        (("--data.cost_maps", "a.tif"), "train: --data can't be used: cost_maps go"),
    ],
)
def test_a_wrong_value_is_named_without_its_group(words, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse("train", *words)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("name: [a\nseed: 1\n", "line 2, column 5"),
        ("optimizer: {learnin_rate: 1}\n", "did you mean optimizer.learning_rate?"),
        ("- a\n", "must hold keys and values"),
    ],
)
def test_a_wrong_yaml_file_is_explained(tmp_path, content, sentence):
    file = tmp_path / "job.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=sentence.replace("?", r"\?")):
        parse("train", "--config", str(file))


class Failing(BaseModel):
    """Fail in a given way."""

    model_config = ConfigDict(extra="forbid")
    how: str = Field("data", description="Which way.")

    def run(self):
        raise {"data": DataError("No pairs."), "stop": KeyboardInterrupt()}[self.how]


@pytest.mark.parametrize(("how", "code"), [("data", FAILED), ("stop", INTERRUPTED)])
def test_exit_codes_of_a_job(monkeypatch, capsys, how, code):
    monkeypatch.setitem(commands.COMMANDS, "failing", Failing)
    assert main(["failing", "--how", how]) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_models_lists_paths(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(tmp_path))
    assert main(["models", "--paths"]) == DONE
    (path,) = capsys.readouterr().out.split()
    assert main(["models", "--json"]) == DONE
    entry = json.loads(capsys.readouterr().out)
    assert (entry["path"], entry["kind"]) == (path, "bundled")
    assert main(["models"]) == DONE
    # Whole, whatever the width of a terminal: another program may read it.
    assert path in capsys.readouterr().out


def test_help_names_every_option_with_its_default(capsys):
    with pytest.raises(SystemExit) as end:
        main(["train", "--help"])
    assert end.value.code == DONE
    text = " ".join(capsys.readouterr().out.split())
    for option in options_of(Train).values():
        assert option.kind == "group" or f"--{option.name}" in text
    assert "(default: [0.1, 99.9])" in text
    assert "(default: BasicUNet)" in text
    assert "In a word. (default: standard)" in text
    assert "==" not in text


def test_every_option_says_what_it_is():
    for command in COMMANDS.values():
        _expect_descriptions(command)


def _expect_descriptions(model):
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            _expect_descriptions(kind)
        else:
            assert field.description, f"{model.__name__}.{name} has no description"


def test_help_comes_fast_and_without_torch():
    program = (
        "import sys, time; from napari_im2im.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'napari', 'monai'} & set(sys.modules)\n"
        # Processor time: other work on the machine isn't what is measured.
        "print(time.process_time(), file=sys.stderr)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(done.stderr) < 1


def test_the_nearest_name_needs_some_likeness():
    assert nearest("zzz", ["name", "seed"]) is None
    options = ["--loss", "--optimizer.learning_rate", "--optimizer"]
    assert nearest("--lr", options) == "--optimizer.learning_rate"
    assert nearest("lerning_rate", ["seed", "optimizer.learning_rate"]) == (
        "optimizer.learning_rate"
    )
