"""Phase contrast of a defocused bright-field image: bright or dark fringes at edges, grain of amorphous matter."""

import cv2
import numpy as np
from scipy import constants, fft

from nanolab.core.typing import Image

__all__ = ["interaction", "phase_contrast", "wavelength_nm"]


_PAD_PX = 16
_REST_EV = constants.m_e * constants.c**2 / constants.e


def wavelength_nm(voltage_kv: float) -> float:
    """Return the relativistic de Broglie wavelength of electrons, e.g. 0.00251 nm at 200 kV."""
    energy = 1e3 * voltage_kv
    momentum = np.sqrt(2 * constants.m_e * constants.e * energy * (1 + energy / (2 * _REST_EV)))
    return float(1e9 * constants.h / momentum)


def interaction(voltage_kv: float) -> float:
    """Return the phase per volt and nm that a potential gives electrons, 0.00729 rad/(V nm) at 200 kV."""
    energy = 1e3 * voltage_kv
    ratio = (_REST_EV + energy) / (2 * _REST_EV + energy)
    return float(2 * np.pi / (wavelength_nm(voltage_kv) * energy) * ratio)


def phase_contrast(
    phase: Image, pixel_size_nm: float, *, voltage_kv: float, defocus_nm: float, convergence_mrad: float
) -> Image:
    """Return the relative change of intensity by a weak phase object out of focus, shape (height, width).

    The linear transfer of a thin object (Kirkland, Advanced Computing in Electron Microscopy 2010,
    10.1007/978-1-4419-6533-2), -2 sin(pi lambda D k^2), with the envelope of a beam that is not quite parallel; for
    long periods it is the transport of intensity (Teague 1983, 10.1364/JOSA.73.001434).

    Parameters
    ----------
    phase
        Shape (height, width), in radians.
    defocus_nm
        Above 0 underfocus: a bright fringe lies around matter.
    convergence_mrad
        Semi-angle of the illumination.
    """
    size = [fft.next_fast_len(side + 2 * _PAD_PX, real=True) for side in phase.shape]
    after = [whole - side - _PAD_PX for whole, side in zip(size, phase.shape, strict=True)]
    padded = cv2.copyMakeBorder(phase, _PAD_PX, after[0], _PAD_PX, after[1], borderType=cv2.BORDER_REFLECT_101)
    k = np.hypot(fft.fftfreq(size[0], pixel_size_nm)[:, None], fft.rfftfreq(size[1], pixel_size_nm)).astype(np.float32)
    transfer = -2 * np.sin(np.float32(np.pi * wavelength_nm(voltage_kv) * defocus_nm) * k**2)
    transfer *= np.exp(-((np.float32(np.pi * convergence_mrad * 1e-3 * defocus_nm) * k) ** 2))
    contrast = fft.irfft2(fft.rfft2(padded) * transfer, s=size)
    height, width = phase.shape
    return np.asarray(contrast[_PAD_PX : _PAD_PX + height, _PAD_PX : _PAD_PX + width], dtype=np.float32)
