"""Words around numbers."""

__all__ = ["count_words"]


def count_words(number: int, what: str) -> str:
    """Return "1 image" or "2 images".

    Examples
    --------
    >>> count_words(1, "label map")
    '1 label map'
    """
    return f"{number} {what}{'' if number == 1 else 's'}"
