"""The runtime type checker that pytest applies to every function of the package."""

from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype

check = beartype(
    conf=BeartypeConf(
        hint_overrides=FrozenDict({Self: Any}),  # unknown where functions are wrapped one by one
        is_pep484_tower=True,  # an int is a float, as for mypy
    )
)
