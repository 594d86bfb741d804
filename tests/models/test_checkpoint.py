import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.discs import TINY, TinyNetwork
from safetensors.numpy import save_file

from nanolab.core.checks import InputError
from nanolab.models.checkpoint import copy_network, load_checkpoint, load_network, save_checkpoint
from nanolab.models.epochs import epochs_of
from nanolab.models.registry import NETWORKS

RECORD = {"settings": {"network": "tiny", "readout": "foreground"}, "epoch": 3}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", TINY["tiny"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "epochs" / "0003.safetensors"


def test_tensors_and_record_come_back(path: Path) -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "step": torch.tensor(7), "flag": torch.tensor([True])}
    save_checkpoint(path, tensors, {"log": [{"loss": 0.1 + 0.2}], "name": "TiO₂"})
    found, record = load_checkpoint(path)
    assert record == {"log": [{"loss": 0.1 + 0.2}], "name": "TiO₂"}
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_a_network_comes_back_ready_to_predict(path: Path) -> None:
    torch.manual_seed(0)
    network = TinyNetwork(1).to(memory_format=torch.channels_last)
    save_checkpoint(path, network.state_dict(), RECORD)
    found, readout, record = load_network(path)
    image = torch.rand(1, 1, 32, 32)
    # other memory layouts sum in another order
    torch.testing.assert_close(found(image), network.eval()(image), atol=1e-6, rtol=0)
    assert not found.training
    assert readout.names == ("foreground",)
    assert record["epoch"] == 3


def test_a_copy_may_read_its_network_differently(path: Path, tmp_path: Path) -> None:
    save_checkpoint(
        path, TinyNetwork(2).state_dict(), RECORD | {"settings": {"network": "tiny", "readout": "interior+border"}}
    )
    copy_network(path, tmp_path / "copy.safetensors", {"dynamic": 0.3})
    (before, readout, record), (after, other, copied) = load_network(path), load_network(tmp_path / "copy.safetensors")
    assert (readout.dynamic, other.dynamic) == (0.1, 0.3)  # type: ignore[attr-defined]
    assert copied == record | {"settings": record["settings"] | {"readout_options": {"dynamic": 0.3}}}
    for one, same in zip(before.state_dict().values(), after.state_dict().values(), strict=True):
        assert torch.equal(one, same)
    with pytest.raises(InputError, match="unexpected keyword argument 'dynamics'"):
        copy_network(path, tmp_path / "none.safetensors", {"dynamics": 0.3})
    assert not (tmp_path / "none.safetensors").exists()


class Harmful:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_in_disguise_is_refused_and_not_run(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    harmful = Harmful(tmp_path / "harm")
    path.write_bytes(pickle.dumps(harmful))
    with pytest.raises(InputError, match="no checkpoint of nanolab, or damaged"):
        load_network(path)
    torch.save({"a": harmful}, path)
    with pytest.raises(InputError, match="no checkpoint of nanolab, or damaged"):
        load_network(path)
    assert not (tmp_path / "harm").exists()


def test_a_truncated_file_is_refused(path: Path) -> None:
    save_checkpoint(path, TinyNetwork(1).state_dict(), RECORD)
    content = path.read_bytes()
    for length in (4, 100, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"0003\.safetensors: no checkpoint of nanolab, or damaged"):
            load_network(path)


def test_a_missing_and_an_empty_file_are_refused(path: Path) -> None:
    with pytest.raises(InputError, match="checkpoint not found"):
        load_network(path)
    path.parent.mkdir()
    path.touch()
    with pytest.raises(InputError, match="checkpoint is empty"):
        load_network(path)


DEEP, LONG = "[" * 100_000, '{"a": ' + "9" * 5000 + "}"


@pytest.mark.parametrize(
    "metadata",
    [None, {"format": "pt"}, *({"nanolab": text} for text in ("{", "3", "{}", DEEP, LONG))],
)
def test_weights_from_elsewhere_are_refused(path: Path, metadata: dict[str, str] | None) -> None:
    path.parent.mkdir()
    save_file({"a": np.zeros(3)}, path, metadata)
    with pytest.raises(InputError, match=r"0003\.safetensors: "):
        load_network(path)


@pytest.mark.parametrize(
    "settings",
    [
        {"network": "os.system"},
        {"network": "tiny", "network_options": {"width": 9}},
        {"network": "tiny", "network_options": {"depth": 9}},
        {"network": "unet", "network_options": {"channels": "x"}},
        {"network": "tiny", "readout_options": {"threshold": "x"}},
        {"network": "tiny", "readout": "interior+border", "readout_options": {"dynamic": "x"}},
        {"network": "tiny", "readout": "interior+border", "readout_options": {"smoothing_px": float("nan")}},
        {"network": "tiny", "readout": "stardist", "readout_options": {"rays": [32]}},
        {"network": "tiny", "readout": "interior+border"},
    ],
)
def test_a_record_that_does_not_fit_its_weights_is_refused(path: Path, settings: dict[str, object]) -> None:
    save_checkpoint(path, TinyNetwork(1).state_dict(), {"settings": {"readout": "foreground"} | settings})
    with pytest.raises(InputError, match="the weights fit no network that this nanolab can build"):
        load_network(path)


def test_a_full_disk_leaves_the_old_file(path: Path) -> None:
    save_checkpoint(path, {"a": torch.zeros(1)}, {})
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(path), "write_bytes", lambda _, data: _write_full(data))
        with pytest.raises(InputError, match="no space left on the disk"):
            save_checkpoint(path, {"a": torch.ones(1)}, {})
    assert load_checkpoint(path)[0]["a"].item() == 0
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def _write_full(data: bytes) -> int:
    with open("/dev/full", "wb") as file:  # noqa: PTH123  # Path.open is what the test replaces
        return file.write(data)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(path: Path, value: float) -> None:
    weights = TinyNetwork(1).state_dict()
    next(iter(weights.values())).view(-1)[3] = value
    save_checkpoint(path, weights, RECORD)
    with pytest.raises(InputError, match=r"0003\.safetensors: weights must be finite, and layers\.0\.weight holds NaN"):
        load_network(path)


def test_a_file_with_another_name_is_no_epoch(path: Path) -> None:
    for name in ("0003", "0012", "1x", "3", "00003", "-001", "\u0664\u0664\u0664\u0664"):
        save_checkpoint(path.with_name(f"{name}.safetensors"), {"a": torch.zeros(1)}, {})
    assert epochs_of(path.parents[1]) == [3, 12]
