"""Losses of files that are larger than memory."""
