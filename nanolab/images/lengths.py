"""Lengths as scale bars state them."""

import numpy as np

__all__ = ["length_text", "nice_length_nm"]


def nice_length_nm(most_nm: float, digits: tuple[int, ...] = (1, 2, 5)) -> float:
    """Return the largest of the digits times a power of ten that is at most `most_nm`.

    Examples
    --------
    >>> nice_length_nm(730)
    500.0
    """
    power = 10.0 ** np.floor(np.log10(most_nm) + 1e-9)
    return float(max(digit * power for digit in digits if digit * power <= most_nm * (1 + 1e-9)))


def length_text(length_nm: float, gap: str = " ", micro: str = "u") -> str:
    """Return a length as it is written next to a scale bar; some fonts have no Greek letters.

    Examples
    --------
    >>> length_text(500), length_text(2000), length_text(2e6)
    ('500 nm', '2 um', '2 mm')
    """
    for unit, size in (("mm", 1e6), (f"{micro}m", 1e3), ("nm", 1.0)):
        if length_nm >= size:
            return f"{length_nm / size:g}{gap}{unit}"
    return f"{length_nm:g}{gap}nm"
