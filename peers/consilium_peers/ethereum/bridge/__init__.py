"""The way to the bridge on a public chain: gathering endorsements, and the contract that verifies them."""
