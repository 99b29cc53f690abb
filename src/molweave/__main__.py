"""``python -m molweave`` is the ``molweave`` command."""

from molweave.cli import main

if __name__ == "__main__":
    main()
