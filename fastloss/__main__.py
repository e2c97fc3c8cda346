"""`python -m fastloss` is the `fastloss` command."""

from fastloss.cli.main import main

if __name__ == "__main__":
    main()
