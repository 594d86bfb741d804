"""Small files in the formats of microscopes, written by their published layouts, for the tests of the readers."""

import struct
from pathlib import Path

import h5py
import numpy as np

__all__ = ["write_dm", "write_emd", "write_mrc", "write_ser"]


def write_mrc(path: Path, data: np.ndarray, pixel_size_nm: float) -> None:
    """MRC2014: a header of 1024 bytes; the pixel size is the cell's edge over the number of intervals, in angstrom."""
    *stack, height, width = data.shape
    edge = 10 * pixel_size_nm
    header = bytearray(1024)
    mode = {"int16": 1, "float32": 2, "uint16": 6}[data.dtype.name]
    struct.pack_into("<10i", header, 0, width, height, *(stack or [1]), mode, 0, 0, 0, width, height, 1)
    struct.pack_into("<6f", header, 40, edge * width, edge * height, 1.0, 90, 90, 90)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:216] = b"MAP \x44\x44\x00\x00"
    path.write_bytes(bytes(header) + data.tobytes())


def write_emd(path: Path, data: np.ndarray, pixel_size: float, unit: str = "nm") -> None:
    """Berkeley EMD: an HDF5 group with a data set, columns first, and one axis for each of its dimensions."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"version_major": 0, "version_minor": 2})
        group = file.create_group("data/image")
        group.attrs["emd_group_type"] = 1
        group["data"] = data.T
        for number, (name, count) in enumerate(zip("xyz", data.T.shape, strict=False), start=1):
            axis = group.create_dataset(f"dim{number}", data=np.arange(count) * pixel_size)
            axis.attrs.update({"name": name, "units": unit})


def write_ser(path: Path, data: np.ndarray, pixel_size_nm: float) -> None:
    """TIA series of one uint16 image: header, two offsets, then calibration in metres and values, bottom row first."""
    height, width = data.shape
    offsets = 30 + 32
    first = offsets + 8
    header = struct.pack("<3H4I", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, 1, 1) + struct.pack("<2I", offsets, 1)
    header += struct.pack("<IddI2I", 1, 0.0, 1.0, 0, 0, 0) + struct.pack("<2I", first, first + 50 + 2 * data.size)
    calibration = struct.pack("<ddI", 0.0, pixel_size_nm * 1e-9, 0) * 2
    values = struct.pack("<H2I", 2, width, height) + data[::-1].astype("<u2").tobytes()
    path.write_bytes(header + calibration + values + struct.pack("<2HI", 0x4152, 0, 0))


def write_dm(
    path: Path, data: np.ndarray, pixel_size: float, unit: str = "nm", *, version: int = 3, interval_s: float = 0
) -> None:
    """DigitalMicrograph 3 or 4: a tree of tags, here of one float32 or RGB image, or a movie, and its calibration."""
    colours = data.ndim == 3 and not interval_s  # 4 bytes a pixel: blue, green, red, transparency
    stored = np.pad(data[..., ::-1], ((0, 0), (0, 0), (0, 1))).view("<u4") if colours else data.astype("<f4")
    axes = [{"Origin": 0.0, "Scale": pixel_size, "Units": unit}] * 2
    axes += [{"Origin": 0.0, "Scale": interval_s, "Units": "s"}] if interval_s else []
    image = {
        "Calibrations": {"Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": ""}, "Dimension": axes},
        "Data": stored,
        "DataType": 23 if colours else 2,
        "Dimensions": [*data.shape[1::-1]] if colours else [*data.shape[::-1]],
        "PixelDepth": 4,
    }
    tree = {"ImageList": [{"ImageData": image, "ImageTags": {}, "Name": "image", "UniqueID": [1, 2, 3, 4]}]}
    body = _Tags(version).group(tree)
    size = struct.pack(">q" if version == 4 else ">i", len(body))
    path.write_bytes(struct.pack(">i", version) + size + struct.pack(">i", 1) + body + bytes(8))


class _Tags:
    """Tags as bytes: structure big-endian, data little-endian; version 4 writes counts in 8 bytes and adds sizes."""

    def __init__(self, version: int) -> None:
        self.count = ">q" if version == 4 else ">i"
        self.sized = version == 4

    def group(self, content: dict | list) -> bytes:
        items = content.items() if isinstance(content, dict) else [("", value) for value in content]
        tags = b"".join(self.tag(name, value) for name, value in items)
        return b"\1\0" + struct.pack(self.count, len(content)) + tags

    def tag(self, name: str, value: object) -> bytes:
        is_group = isinstance(value, dict | list)
        body = self.group(value) if is_group else self.data(value)
        size = struct.pack(">q", len(body)) if self.sized else b""
        return struct.pack(">BH", 20 if is_group else 21, len(name)) + name.encode() + size + body

    def data(self, value: object) -> bytes:
        if isinstance(value, np.ndarray):
            kind = {"float32": 6, "uint32": 5}[value.dtype.name]
            information, content = (20, kind, value.size), value.tobytes()
        elif isinstance(value, str):
            information, content = (20, 4, len(value)), value.encode("utf-16-le")
        elif isinstance(value, float):
            information, content = (6,), struct.pack("<f", value)
        else:
            information, content = (5,), struct.pack("<I", value)
        numbers = b"".join(struct.pack(self.count, number) for number in (len(information), *information))
        return b"%%%%" + numbers + content
