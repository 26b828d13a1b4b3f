"""Modules that scripts/generate_protocol.py writes from proto/consilium/v1; never edited by hand."""
