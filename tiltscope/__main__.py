"""`python -m tiltscope` is `tiltscope`."""

from tiltscope.cli.main import main

if __name__ == "__main__":
    main()
