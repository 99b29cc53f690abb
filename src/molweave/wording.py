"""Small words of messages."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 row``, ``2,039 rows``; ``plural`` where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
