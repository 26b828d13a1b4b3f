// Compiles the contracts to committed artifacts, the same bytes on every machine.
//   node compile.mjs [FOLDER]   writes FOLDER/<contract>.json (default: each where its Python package reads it)
import { readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";

const here = dirname(fileURLToPath(import.meta.url));
const solc = createRequire(import.meta.url)("solc");
const DEPLOYED = join(here, "../../proto/consilium_proto/contracts");
const MEASURED = join(here, "../../scripts/consilium_bench/contracts");

// The bridge needs the intermediate representation: the older code generator runs out of stack slots there.
const CONTRACTS = [
  { name: "RewardLedger", viaIR: false, folder: DEPLOYED },
  { name: "FabricRewardBridge", viaIR: true, folder: DEPLOYED },
  { name: "MeasuredToken", viaIR: false, folder: MEASURED },
];
// Source names are part of the result, so they never hold a path of this machine.
const PREFIX = "contracts/";
const SETTINGS = {
  // The oldest rules that the contracts need: older public chains run them too.
  evmVersion: "cancun",
  optimizer: { enabled: true, runs: 10000 },
  // A hash of the sources' bytes in the code would change it with every comment.
  metadata: { bytecodeHash: "none", appendCBOR: false },
  debug: { revertStrings: "strip" },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
};

function source(name) {
  const path = name.startsWith(PREFIX)
    ? join(here, "sources", name.slice(PREFIX.length))
    : join(here, "node_modules", name);
  return readFileSync(path, "utf8");
}

function imported(name) {
  try {
    return { contents: source(name) };
  } catch (error) {
    return { error: `${name}: ${error.message}; run "npm ci" first` };
  }
}

function compile({ name, viaIR }) {
  const file = `${PREFIX}${name}.sol`;
  const input = {
    language: "Solidity",
    sources: { [file]: { content: source(file) } },
    settings: { ...SETTINGS, viaIR },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: imported }));
  const complaints = output.errors ?? [];
  for (const each of complaints) console.error(each.formattedMessage);
  if (complaints.length > 0) process.exit(1); // warnings too
  const { abi, evm } = output.contracts[file][name];
  return {
    contract: name,
    compiler: solc.version(),
    abi,
    creationCode: `0x${evm.bytecode.object}`,
    runtimeCode: `0x${evm.deployedBytecode.object}`,
  };
}

for (const contract of CONTRACTS) {
  const artifact = compile(contract);
  const destination = process.argv[2] ?? contract.folder;
  mkdirSync(destination, { recursive: true });
  writeFileSync(join(destination, `${contract.name}.json`), `${JSON.stringify(artifact, null, 2)}\n`);
  console.log(`${contract.name}: ${(artifact.runtimeCode.length - 2) / 2} bytes`);
}
