"""The `fastloss` command."""
