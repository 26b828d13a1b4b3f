"""Where an aggregator keeps ciphertexts and the lists that name them."""
