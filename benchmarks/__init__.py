"""Timings of fastloss: asv suite, comparison with peers, and the table of cases they share."""
