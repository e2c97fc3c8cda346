"""Losses of batches added up to the loss of all: exactly, and in any order."""
