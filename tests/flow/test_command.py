"""The command line as a user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from datasets.phantom.generate import draw_phantom, phantom
from model.anatomy import View
from tests.flow.conftest import ROOT
from tests.waiting import PATIENCE_S


def hipsono(*words, **options):
    command = [sys.executable, str(ROOT / "hipsono.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=5 * PATIENCE_S, **options)


def test_serving_and_the_command_load_no_torch():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import hipsono, serving.app, serving.demo, serving.batch; "
        "from serving.settings import Settings; serving.app.create_app(Settings()); "
        "assert not {'torch', 'torchvision', 'monai'} & set(sys.modules), 'torch was loaded'"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, cwd="/", timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "verb",
    [
        "demo",
        "serve",
        "read",
        "watch",
        "igtl",
        "listen",
        "grade",
        "phantom",
        "train",
        "evaluate",
        "export",
        "bench",
        "info",
    ],
)
def test_every_verb_has_help_with_an_example(verb):
    done = hipsono(verb, "-h")
    assert done.returncode == 0
    assert "Example" in done.stdout


def test_a_wrong_call_ends_with_two():
    assert hipsono("fly").returncode == 2
    assert hipsono("phantom", "-n", "0", "-o", "/nowhere").returncode == 2
    wrong = hipsono("serve", "--model", "/nowhere/x.onnx")
    assert wrong.returncode == 2
    assert "no model at" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_the_version_is_told():
    done = hipsono("--version")
    assert done.returncode == 0 and done.stdout.startswith("hipsono ") and done.stdout.strip()[-1].isdigit()


def test_a_folder_with_nothing_in_it_is_told(tmp_path):
    done = hipsono("read", tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert f"no file in {tmp_path}" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "code", "told"),
    [
        ("HIPSONO_PORT", "99999999", 2, "HIPSONO_PORT: input should be less than or equal to 65535, got '99999999'"),
        ("HIPSONO_HOSTS", "hip.example", 2, "HIPSONO_HOSTS='[\"hip.example\"]'"),
        ("HIPSONO_MAX_UPLOADMB", "3", 0, "HIPSONO_MAX_UPLOADMB is no setting and is not heeded; HIPSONO_MAX_UPLOAD_MB"),
        ("HIPSONO_DATA", "/data", 0, ""),
    ],
)
def test_a_wrong_setting_is_named(name, value, code, told):
    done = hipsono("info", env={**os.environ, name: value})
    assert done.returncode == code
    assert told in done.stderr and "Traceback" not in done.stderr and "pydantic" not in done.stderr
    assert told or done.stderr == ""


def test_info_tells_the_model(tmp_path):
    told = json.loads(hipsono("info", "--json").stdout)
    assert told["model"]["name"] == "starter"
    assert "phantoms" in told["trained_on"]
    assert told["run_by"]["provider"] == "cpu"


@pytest.mark.parametrize(
    "words",
    [
        ("info",),
        ("serve",),
        ("read", "picture.png"),
        ("watch", "--lines", "--source", "film.avi"),
        ("igtl", "--connect", "127.0.0.1:1"),
        ("listen", "-o", "{out}"),
        ("grade", "{archive}", "-o", "{out}"),
    ],
)
@pytest.mark.parametrize("option", [True, False])
def test_every_verb_that_reads_heeds_the_provider(words, option, tmp_path):
    """Here is none but the processor: what is asked for is refused, and the processor never taken in its place."""
    (tmp_path / "archive").mkdir()
    words = [word.format(out=tmp_path / "out", archive=tmp_path / "archive") for word in words]
    env = dict(os.environ)
    if option:
        words += ["--provider", "directml"]
    else:
        env["HIPSONO_PROVIDER"] = "directml"
    done = hipsono(*words, env=env)
    assert done.returncode == 2
    assert "directml cannot run the network here" in done.stderr


def test_phantoms_are_written_checked_split_and_read(tmp_path):
    data, shown = tmp_path / "set", tmp_path / "shown"
    assert hipsono("phantom", "-n", 6, "--seed", 77, "-o", data).returncode == 0
    assert hipsono("data", "check", data).returncode == 0
    assert hipsono("data", "split", data, "-o", tmp_path / "split.json").returncode == 0
    broken = data / "frames" / "000002.png"
    broken.write_bytes(broken.read_bytes()[:2000])
    checked = hipsono("data", "check", data)
    assert checked.returncode == 1
    assert "000002.png" in checked.stdout
    (data / "frames" / "Thumbs.db").write_bytes(b"not a picture")
    done = hipsono("read", data / "frames", "--overlay", shown)
    assert done.returncode == 1, "one frame is broken"
    assert "000002.png" in done.stderr
    assert "Thumbs.db: skipped" in done.stderr
    assert len(done.stdout.splitlines()) == 5
    assert all(json.loads(line)["schema"] == 1 for line in done.stdout.splitlines())
    assert len(list(shown.iterdir())) == 5


def test_a_dicom_cine_carries_its_millimetres(tmp_path):
    folder = tmp_path / "dicom"
    words = (
        "phantom",
        "-n",
        1,
        "--seed",
        3_000_047,
        "--view",
        "anterior_longitudinal",
        "--cine",
        3,
        "--dicom",
        "-o",
        folder,
    )
    assert hipsono(*words).returncode == 0
    done = hipsono("read", folder)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"]["index"] for line in lines] == [0, 1, 2]
    expected = draw_phantom(3_000_047, View.LONGITUDINAL).screen
    assert lines[0]["frame"]["spacing_mm"] == pytest.approx(
        (expected.spacing_row_mm, expected.spacing_column_mm), rel=1e-6
    )
    assert lines[0]["frame"]["spacing_source"] == "dicom-region"


def test_spacing_from_the_command_line(tmp_path):
    path = tmp_path / "one.jpg"
    cv2.imwrite(str(path), phantom(3_000_047, View.LONGITUDINAL).frame.grey)
    line = json.loads(hipsono("read", path, "--spacing-mm", "0.1,0.1", "--age-years", "9").stdout)
    assert line["frame"]["spacing_mm"] == [0.1, 0.1]
    wrong = hipsono("read", path, "--spacing-mm", "oops")
    assert wrong.returncode == 2
    assert "ROW,COL" in wrong.stderr


@pytest.mark.skipif(
    not os.environ.get("HIPSONO_SLIM_INSTALL"), reason="set HIPSONO_SLIM_INSTALL=1 to install without the extra"
)
def test_an_install_without_the_extra_serves(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", "-e", ROOT], check=True)
    assert subprocess.run([python, "-c", "import torch"], capture_output=True).returncode != 0
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import serving.app as a; a.create_app()"
    assert subprocess.run([python, "-c", code], cwd="/").returncode == 0
    told = subprocess.run(
        [python, ROOT / "hipsono.py", "train", "x.toml", "--data", "d", "-o", "r"], capture_output=True, text=True
    )
    assert told.returncode == 2
    assert "[train]" in told.stderr
    assert Path(python).exists()


def test_a_provider_that_is_not_there_is_refused_with_those_that_are():
    refused = hipsono("serve", "--provider", "tensorrt")
    assert refused.returncode == 2
    assert "CPUExecutionProvider" in refused.stderr
    assert hipsono("serve", "--provider", "fpga").returncode == 2
