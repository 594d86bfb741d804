"""`python -m nanolab`, which is what launchers of several processes start."""

from nanolab.cli import main

if __name__ == "__main__":
    main()
