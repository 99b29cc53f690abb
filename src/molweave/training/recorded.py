"""Settings as the words of a command line, for the record of a fit or a pre-training."""

from collections.abc import Mapping, Sequence


def setting_words(
    modalities: Sequence[str] | None,
    method_options: Mapping[str, object],
    training: Mapping[str, object],
) -> list[str]:
    """``--modalities``, ``--set`` and ``--train`` with their values."""
    words = [] if modalities is None else ["--modalities", ",".join(modalities)]
    for flag, changes in (("--set", method_options), ("--train", training)):
        for name, value in changes.items():
            words += [flag, f"{name}={_plain(value)}"]
    return words


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
