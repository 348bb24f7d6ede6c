"""``python -m momok``."""

from momok.cli import main

if __name__ == "__main__":
    main()
