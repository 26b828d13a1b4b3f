"""The Fabric network: topology, certificates, channel, processes, chaincode lifecycle."""
