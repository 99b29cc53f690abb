"""A kill from inside."""


class Killed(BaseException):
    """What no handler of errors takes for an error."""
