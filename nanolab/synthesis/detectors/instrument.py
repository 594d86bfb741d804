"""What any microscope does to a signal on its way to the picture: blur, noise, display, storage."""

from typing import Annotated, Any, ClassVar

import cv2
import numpy as np

from nanolab.core.typing import Image
from nanolab.synthesis.draws import Distribution, Fraction, Model, NotNegative, Positive, between, default
from nanolab.synthesis.noise import smooth_noise
from nanolab.synthesis.passes import Passes

__all__ = ["Instrument", "Values", "blurred", "expose"]

Values = dict[str, Any]

# Percentiles that a full stretch of the contrast takes to black and white.
BLACK, WHITE = 0.2, 99.8

# A Gaussian of a larger SD is applied to a smaller copy of the image: its kernel grows with it.
LARGEST_KERNEL_SD = 32


class Instrument(Model):
    """The part of a detector that has nothing to do with the specimen. Signals are fractions of full scale.

    The specimen is lit unevenly by `illumination` (SD). The beam blurs by a Gaussian of SD `blur_px`; scanned lines are
    displaced by `jitter_px` (SD) and differ in brightness by `streaks` (SD, each for itself) and `bands` (SD, slowly).
    `electrons` is the number counted at full signal, whose Poisson noise is the shot noise; `readout_noise` is added.
    The image is recorded in pixels `enlargement` times as large and enlarged afterwards, as pictures in print are,
    and then smoothed by `smoothing_px`. The display has a `gamma`, `stretch`es the contrast (0: not; 1: to the full
    range), and stores `grey_levels`, by JPEG of a `jpeg_quality` below 100.
    """

    #: Whether the model needs `Passes.thickness`.
    sees_through: ClassVar[bool] = False

    illumination: Fraction = default([0.0, 0.15])
    blur_px: NotNegative = default([0.5, 1.5])
    electrons: Positive = default([50, 1000])
    readout_noise: NotNegative = default([0.0, 0.02])
    streaks: NotNegative = default([0.0, 0.01])
    gamma: Positive = default([0.8, 1.25])
    bands: NotNegative = default(0.0)
    jitter_px: NotNegative = default(0.0)
    enlargement: Annotated[Distribution, between(1, 10)] = default(1.0)
    smoothing_px: NotNegative = default(0.0)
    stretch: Fraction = default(0.0)
    grey_levels: Annotated[Distribution, between(2, 2**16)] = default(256.0)
    jpeg_quality: Annotated[Distribution, between(1, 100)] = default(100.0)

    def draw(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw every value of the model for one image, the specimen's before the instrument's."""
        random = [name for name in type(self).model_fields if hasattr(getattr(self, name), "draw")]
        return self.drawn(rng, *sorted(random, key=lambda name: name in Instrument.model_fields))

    @staticmethod
    def signal(passes: Passes, ground: Image, v: Values, rng: np.random.Generator) -> Image:
        """Return what leaves the specimen, shape (height, width), 0 or above; `ground` is the substrate's texture."""
        raise NotImplementedError


def blurred(image: Image, sd_px: float) -> Image:
    """Return the image blurred by a Gaussian of SD `sd_px`, in a time that does not grow with it."""
    if sd_px <= LARGEST_KERNEL_SD:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sd_px))
    shape, scale = image.shape, LARGEST_KERNEL_SD / 2 / sd_px
    small = cv2.resize(image, [max(round(side * scale), 1) for side in shape[::-1]], interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(small, (0, 0), LARGEST_KERNEL_SD / 2)
    return np.asarray(cv2.resize(smooth, shape[::-1], interpolation=cv2.INTER_LINEAR))


def expose(signal: Image, v: Values, rng: np.random.Generator) -> Image:
    """Return the picture of a signal, shape (height, width), in [0, 1]; `v` holds the values of an `Instrument`."""
    shape = (signal.shape[0], signal.shape[1])
    if v["blur_px"] > 0:
        signal = np.asarray(cv2.GaussianBlur(signal, (0, 0), float(v["blur_px"])))
    if v["enlargement"] > 1:
        factor = float(1 / v["enlargement"])
        signal = np.asarray(cv2.resize(signal, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
    image = _scan(signal, v, rng)
    if v["enlargement"] > 1:
        image = np.asarray(cv2.resize(image, shape[::-1], interpolation=cv2.INTER_CUBIC))
    if v["smoothing_px"] > 0:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(v["smoothing_px"])))
    return _display(np.clip(image, 0, 1), v)


def _scan(signal: Image, v: Values, rng: np.random.Generator) -> Image:
    """Displace lines, count electrons, add the noise of the electronics."""
    height, width = signal.shape
    if v["jitter_px"] > 0:
        shift = v["jitter_px"] * rng.standard_normal((height, 1), dtype=np.float32)
        x = np.arange(width, dtype=np.float32) + shift
        y = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], x.shape)
        y = np.ascontiguousarray(y)
        signal = np.asarray(cv2.remap(signal, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    if v["bands"] > 0:
        signal = signal * np.maximum(1 + v["bands"] * smooth_noise((height, 1), rng.uniform(2, 40), rng), 0)
    counted = rng.poisson(signal * v["electrons"]).astype(np.float32) / v["electrons"]
    counted += v["readout_noise"] * rng.standard_normal(signal.shape, dtype=np.float32)
    counted += v["streaks"] * rng.standard_normal((height, 1), dtype=np.float32)
    return counted


def _display(image: Image, v: Values) -> Image:
    image = np.asarray(image ** v["gamma"], dtype=np.float32)
    if v["stretch"] > 0:
        black, white = np.percentile(image[::3, ::3], (BLACK, WHITE)).astype(np.float32)
        full = (image - black) / max(white - black, np.float32(1e-3))
        image = np.clip(image + v["stretch"] * (full - image), 0, 1)
    steps = np.rint(v["grey_levels"]) - 1
    image = np.rint(image * steps) / steps
    if v["jpeg_quality"] < 100:
        bytes_ = np.rint(image * 255).astype(np.uint8)
        _, coded = cv2.imencode(".jpg", bytes_, [cv2.IMWRITE_JPEG_QUALITY, int(v["jpeg_quality"])])
        image = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
    return np.asarray(image, dtype=np.float32)
