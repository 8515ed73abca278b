"""`python -m stillhouse.cli`."""

from stillhouse.cli.main import main

if __name__ == "__main__":
    main()
