"""The two kinds of error: what a user can mend, and everything else."""


class MolweaveError(Exception):
    """Base of every error that molweave raises on purpose."""


class UserError(MolweaveError):
    """Something the user can mend.

    The message is one line: what was wrong, what was found, what to do. The command line prints it
    without a traceback and exits with code 2.
    """
