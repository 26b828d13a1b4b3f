"""Ethereum's JSON-RPC for the EVM on the channel: what wallets, web3.py, ethers and Hardhat speak.

It runs no EVM: what a transaction would do is asked of the own organisation's peer, what transactions did stands in
the channel's blocks.
"""
