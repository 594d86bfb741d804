"""Words around numbers."""

__all__ = ["count_words", "seconds_words"]

_UNITS = (("s", 1), ("min", 60), ("h", 3600), ("days", 86_400))
_MANY = 100  # of a unit; from there on in the next one


def count_words(number: int, what: str) -> str:
    """Return "1 image" or "2 images".

    Examples
    --------
    >>> count_words(1, "label map")
    '1 label map'
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def seconds_words(seconds: float) -> str:
    """Return how long something takes, to the second at best.

    Examples
    --------
    >>> [seconds_words(each) for each in (40, 200, 30_000, 2e9)]
    ['40 s', '3 min', '8 h', '23,148 days']
    """
    name, unit = next((each for each in _UNITS if seconds < _MANY * each[1]), _UNITS[-1])
    return f"{seconds / unit:,.0f} {name}"
