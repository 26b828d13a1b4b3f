"""The offline verifier: decodes a channel's blocks, keeps them in a trail, and proves what happened from that alone."""
