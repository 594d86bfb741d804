import pytest
import torch

from nanolab.core.checks import InputError
from nanolab.models import device


def test_cpu_is_always_there() -> None:
    assert device.choose_device("cpu") == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"device: cuda is not available to torch .*; use device auto or cpu"):
        device.choose_device("cuda")


def test_auto_takes_a_gpu_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device.choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device.choose_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.choose_device("auto") == torch.device("cuda")


@pytest.mark.parametrize(("has_amx", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_precision_follows_the_processor(monkeypatch: pytest.MonkeyPatch, has_amx: bool, expected: str) -> None:
    monkeypatch.setattr(device, "_cpu_has_amx", lambda: has_amx)
    assert device.choose_precision("auto", torch.device("cpu")) == expected
    assert device.choose_precision("float32", torch.device("cpu")) == "float32"


@pytest.mark.parametrize(("precision", "dtype"), [("bfloat16", torch.bfloat16), ("float32", torch.float32)])
def test_autocast_computes_in_the_precision(precision: device.Precision, dtype: torch.dtype) -> None:
    with device.autocast(torch.device("cpu"), precision):
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype
