// Compiles the tests' contracts to committed artifacts, as chaincode/contracts/compile.mjs does the project's own.
//   node compile.mjs [FOLDER]   writes FOLDER/<contract>.json (default: beside this file)
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";

const here = dirname(fileURLToPath(import.meta.url));
const project = join(here, "../../../../chaincode/contracts");
const solc = createRequire(join(project, "compile.mjs"))("solc");
const destination = process.argv[2] ?? here;

const CONTRACTS = ["Coin", "Votes", "Council", "Slots"];
const PREFIX = "contracts/";
const SETTINGS = {
  evmVersion: "osaka",
  // Small code: the channel's cap on gas bounds a contract's creation too.
  optimizer: { enabled: true, runs: 1 },
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
};

function imported(name) {
  const path = name.startsWith(PREFIX) ? join(here, name.slice(PREFIX.length)) : join(project, "node_modules", name);
  try {
    return { contents: readFileSync(path, "utf8") };
  } catch (error) {
    return { error: `${name}: ${error.message}; run "npm ci" in chaincode/contracts first` };
  }
}

const sources = Object.fromEntries(
  CONTRACTS.map((name) => [`${PREFIX}${name}.sol`, { content: readFileSync(join(here, `${name}.sol`), "utf8") }]),
);
const input = { language: "Solidity", sources, settings: SETTINGS };
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: imported }));
const complaints = output.errors ?? [];
for (const each of complaints) console.error(each.formattedMessage);
if (complaints.some((each) => each.severity === "error")) process.exit(1);
for (const name of CONTRACTS) {
  const { abi, evm } = output.contracts[`${PREFIX}${name}.sol`][name];
  const artifact = { contract: name, compiler: solc.version(), abi, creationCode: `0x${evm.bytecode.object}` };
  writeFileSync(join(destination, `${name}.json`), `${JSON.stringify(artifact)}\n`);
  console.log(`${name}: ${evm.bytecode.object.length / 2} bytes`);
}
