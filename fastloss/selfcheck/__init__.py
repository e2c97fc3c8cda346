"""`fastloss.check`: documented examples and a reference implementation in plain NumPy."""
