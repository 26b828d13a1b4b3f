"""An organisation's certificates and the profile of its client, for gateways that the test plays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml
from played_gateway import PlayedGateway

from consilium_network.certificates import Authority, OrganizationalUnit
from consilium_network.layout import KeyPair
from consilium_peers.profile import Profile

MSP_ID = "ClevelandMSP"


@dataclass(frozen=True)
class Credentials:
    """An organisation's certificates in a folder: its roots, a client's identity and TLS pair, a server's TLS pair."""

    root: Path
    authority: Authority

    @classmethod
    def create(cls, root: Path) -> Credentials:
        made = cls(root, Authority.create("ca", MSP_ID))
        (root / "roots.pem").write_bytes(made.authority.issued.certificate_pem())
        made.authority.identity("client", OrganizationalUnit.CLIENT, 1).save(made.pair("identity"))
        made.authority.tls("client", [], 1).save(made.pair("tls"))
        made.authority.tls("127.0.0.1", ["127.0.0.1"], 1).save(made.pair("server"))
        return made

    def pair(self, name: str) -> KeyPair:
        return KeyPair.within(self.root / name)

    def document(self, *addresses: str) -> dict[str, object]:
        """Return the profile of the client; its gateways are at `addresses`."""

        def files(name: str) -> dict[str, str]:
            pair = self.pair(name)
            return {"certificate": str(pair.certificate), "private_key": str(pair.private_key)}

        roots = str(self.root / "roots.pem")
        return {
            "organization": MSP_ID,
            "role": "hospital",
            "channel": "consilium",
            "chaincode": "probe",
            "identity": {**files("identity"), "roots": roots},
            "tls": files("tls"),
            "gateways": [{"address": each, "tls_roots": roots, "organization": MSP_ID} for each in addresses],
            "aggregators": [],
            "organizations": [{"organization": MSP_ID, "tls_roots": roots}],
        }

    def profile(self, *addresses: str) -> Profile:
        path = self.root / "profile.yaml"
        path.write_text(yaml.safe_dump(self.document(*addresses)))
        return Profile.load(path)

    async def start(self, gateway: PlayedGateway) -> None:
        server = self.pair("server")
        roots = (self.root / "roots.pem").read_bytes()
        await gateway.start(server.private_key.read_bytes(), server.certificate.read_bytes(), roots)
