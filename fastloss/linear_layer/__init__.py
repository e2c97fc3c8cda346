"""Crossentropy of a linear layer, block by block, without its logits."""
