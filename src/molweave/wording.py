"""Small words of messages."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 row``, ``2,039 rows``; ``plural`` where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def describe_unfit(number: int) -> str:
    """What became of molecules whose given coordinates are not those of their structure."""
    return (
        f"{counted(number, 'molecule')} with coordinates that do not fit the structure: "
        "generated instead"
    )
