"""A network is run by what was asked for, or not at all."""

import onnxruntime
import pytest

from model import runtime
from model.runtime import Execution, Provider, Session
from model.spec import SpecError


@pytest.fixture
def gpu_build(monkeypatch):
    """An onnxruntime that lists what it cannot load, as a build for GPUs does on a machine without one."""
    listed = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)


def test_a_session_says_what_runs_it():
    assert Session(threads=1).provider is Provider.CPU


def test_a_provider_that_the_build_lacks_is_refused():
    with pytest.raises(ValueError, match=r"directml cannot run the network here.*only.*CPUExecutionProvider.*Install"):
        Session(threads=1, execution=Execution(Provider.DIRECTML))


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("provider", [Provider.CUDA, Provider.TENSORRT])
def test_a_provider_that_fell_away_is_refused(gpu_build, provider, capfd):
    with pytest.raises(ValueError, match=f"{provider} cannot run the network here"):
        Session(threads=1, execution=Execution(provider))
    assert capfd.readouterr().out == ""


def test_a_provider_that_fails_is_not_taken_for_a_broken_network(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise RuntimeError("Device with CPU name is not registered")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["OpenVINOExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    with pytest.raises(ValueError, match="openvino cannot run the network here: Device"):
        Session(threads=1, execution=Execution(Provider.OPENVINO))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(SpecError, match=r"broken\.onnx"):
        Session(broken, threads=1)


def test_onnxruntime_may_not_fall_back_while_it_runs():
    assert not Session(threads=1)._whole.alone._enable_fallback


def test_openvino_is_told_the_threads(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["OpenVINOExecutionProvider"])
    assert runtime._providers(Execution(Provider.OPENVINO), 3)[0][1] == {"num_of_threads": "3"}


def test_tensorrt_keeps_what_it_builds_and_halves_where_asked(gpu_build, tmp_path):
    kept = tmp_path / "below" / "kept"
    (first, told), (second, _), (third, _) = runtime._providers(Execution(Provider.TENSORRT, True, kept), 2)
    assert kept.is_dir()
    assert (first, second, third) == tuple(onnxruntime.get_available_providers())
    assert told["trt_engine_cache_path"] == str(kept) and told["trt_engine_cache_enable"] == "1"
    assert told["trt_fp16_enable"] == "1"
    assert runtime._providers(Execution(Provider.TENSORRT), 2)[0][1] == {}
    assert runtime._providers(Execution(Provider.CUDA, True, kept), 2)[0][1] == {}
