"""An asyncio chaincode-as-a-service shim: Fabric's chaincode protocol, and the same interface in memory."""
