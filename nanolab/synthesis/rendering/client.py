"""The renderer as a service: a Blender process of its own that turns scenes into passes.

A crash of Blender ends that process alone; it is started again and the scene rendered once more. `nanolab` itself
needs no bpy: the environment variable ``NANOLAB_BLENDER_PYTHON`` may name another interpreter that has it.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Literal, Self, cast

import numpy as np
import OpenEXR

from nanolab.core.checks import InputError
from nanolab.core.typing import Image
from nanolab.synthesis.passes import Passes, denoise_occlusion
from nanolab.synthesis.scene.scene import Scene

__all__ = ["Device", "RenderError", "Renderer"]

Device = Literal["auto", "cpu"]

# As in `nanolab.synthesis.rendering.blender`, which cannot be imported without Blender.
CAMERA_ABOVE_PX = 10.0
GOLDEN = 0.6180339887498949

# Single precision and the mean over samples leave less than this of a check.
CHECKED = 1e-5

# Blender keeps some memory of every scene it has seen; a fresh process costs 1.5 s.
SCENES_A_PROCESS = 200


class RenderError(RuntimeError):
    """Blender could not render a scene; the message holds the end of its log."""


class _Blender(subprocess.Popen[str]):
    """A process whose input and output are pipes."""

    stdin: IO[str]
    stdout: IO[str]


class Renderer:
    """Renders scenes in one Blender process, started at the first scene and renewed now and then.

    Parameters
    ----------
    threads
        Processor threads for Blender.
    device
        "auto" uses a GPU where Cycles finds one; "cpu" never does.

    Attributes
    ----------
    about
        What renders, once the process has started: the version of Blender and the device.
    """

    def __init__(self, *, threads: int, device: Device = "auto") -> None:
        self.threads = threads
        self.device = device
        self.about: dict[str, Any] = {}
        self._process: _Blender | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._served = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the Blender process and remove its temporary files."""
        self._stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def render(self, scene: Scene, *, seed: int, occlusion_distance_nm: float, samples: int) -> Passes:
        """Return the passes of a scene; `seed` fixes the noise of the occlusion's `samples` rays a pixel.

        Raises
        ------
        RenderError
            If Blender fails at the scene twice.
        """
        folder = self._temporary()
        np.savez(
            folder / "scene.npz",
            occlusion_distance=occlusion_distance_nm / scene.pixel_size_nm,
            seed=seed % 2**31,
            **scene.geometry(),
        )
        request = {"scene": str(folder / "scene.npz"), "passes": str(folder / "passes.exr"), "samples": samples}
        try:
            self._ask(request)
        except RenderError:
            self._stop()
            self._ask(request)
        return replace(_read_passes(folder / "passes.exr", scene), renderer=self.about)

    def _ask(self, request: dict[str, Any]) -> None:
        if self._served >= SCENES_A_PROCESS:
            self._stop()
        if self._process is None:
            self._start()
        answer = self._exchange(request)
        self._served += 1
        if "error" in answer:
            raise RenderError(f"Blender could not render the scene: {answer['error']}\n{self._log_end()}")

    def _exchange(self, request: dict[str, Any] | None) -> dict[str, Any]:
        """Send a request, if any, and return the next answer; a closed pipe means that Blender died."""
        process = cast(_Blender, self._process)
        try:
            if request is not None:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = process.wait()
            raise RenderError(f"Blender ended unexpectedly (exit code {code})\n{self._log_end()}")
        return cast(dict[str, Any], json.loads(line))

    def _start(self) -> None:
        python = os.environ.get("NANOLAB_BLENDER_PYTHON", sys.executable)
        script = Path(__file__).with_name("blender.py")
        command = [python, str(script), "--threads", str(self.threads), "--device", self.device]
        try:
            with (self._temporary() / "blender.log").open("w") as log:
                self._process = _Blender(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,  # Ctrl-C is for the parent, which ends this process
                )
        except OSError as error:
            raise InputError(f"NANOLAB_BLENDER_PYTHON={python}: cannot be started ({error})") from error
        self._served = 0
        try:
            self.about = self._exchange(None)
        except RenderError as error:
            self._stop()
            if "No module named 'bpy'" not in str(error):
                raise
            raise InputError(
                f"{python} has no bpy; install it (Python 3.11: pip install 'nanolab[render]') or name an interpreter "
                "that has it in NANOLAB_BLENDER_PYTHON"
            ) from error

    def _stop(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        with suppress(BrokenPipeError):  # a dead process leaves an unread request in the pipe
            process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _temporary(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="nanolab-render-")
        return Path(self._folder.name)

    def _log_end(self) -> str:
        return (self._temporary() / "blender.log").read_text(errors="replace")[-2000:]


def _read_passes(path: Path, scene: Scene) -> Passes:
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {name.split(".", 1)[-1]: channel.pixels for name, channel in file.channels().items()}
        names = ("label.X", "check.X", "Depth.Z", "Normal.X", "Normal.Y", "Normal.Z", "AO.R")
        planes = np.stack([channels[name] for name in names], axis=-1)
    planes = _mended(planes)
    top_nm = max((p.mesh.vertices[:, 2].max() + p.centre_nm[2] for p in scene.bodies), default=0.0)
    camera_px = np.float32(max(top_nm / scene.pixel_size_nm, 1.0) + CAMERA_ABOVE_PX)
    normals = planes[..., 3:6] * np.array([1, -1, 1], dtype=np.float32)
    labels = np.rint(planes[..., 0]).astype(np.int32)
    return Passes(
        labels=labels,
        height_nm=np.maximum(camera_px - planes[..., 2], 0) * np.float32(scene.pixel_size_nm),
        normals=normals / np.linalg.norm(normals, axis=-1, keepdims=True),
        openness=denoise_occlusion(np.clip(planes[..., 6], 0, 1), labels, sigma_px=1.5),
        pixel_size_nm=scene.pixel_size_nm,
    )


def _mended(planes: Image) -> Image:
    """Replace pixels whose samples fell on two particles by a neighbour whose samples agree.

    `planes` (height, width, n) begins with the label and its check, as `nanolab.synthesis.rendering.blender` writes
    them.
    """
    label, check = planes[..., 0], planes[..., 1]
    wrong = np.abs(np.rint(label).astype(np.float64) ** 2 * GOLDEN % 1 - check) > CHECKED
    mended = planes.copy()
    for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        good = wrong & ~np.roll(wrong, shift, axis=(0, 1))
        mended[good] = np.roll(planes, shift, axis=(0, 1))[good]
        wrong = wrong & ~good
    if wrong.any():
        raise RenderError(f"{wrong.sum()} pixels lie on no particle; the passes are damaged, render again")
    return mended
