"""The picture of an evaluation: `fastloss evaluate --plot`."""
