"""Blocks of a channel, read from peers."""
