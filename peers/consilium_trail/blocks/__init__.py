"""Decoding blocks of Hyperledger Fabric from bytes, completely and strictly: nothing but `TrailError` comes out."""
