// What a program with ethers does: a wallet deploys a token, mints, transfers, asks, listens.
//   node coin.mjs URL ARTIFACT   prints one JSON object
import { readFileSync } from "node:fs";
import { ContractFactory, JsonRpcProvider, Wallet, WebSocketProvider } from "ethers";

const [url, artifact] = process.argv.slice(2);
const { abi, creationCode } = JSON.parse(readFileSync(artifact, "utf8"));
// Blocks come with transactions alone: an answer that ethers remembers for a while could hide the last one for good.
const provider = new JsonRpcProvider(url, undefined, { pollingInterval: 100, cacheTimeout: -1 });
const owner = Wallet.createRandom(provider);
const holder = Wallet.createRandom(provider);

const coin = await new ContractFactory(abi, creationCode, owner).deploy();
await coin.waitForDeployment();
const minted = await (await coin.mint(holder.address, 1000n)).wait();
const transferred = await (await coin.connect(holder).transfer(owner.address, 400n)).wait();

async function refusal(attempt) {
  try {
    await attempt;
    return "accepted";
  } catch (error) {
    return error.revert?.name ?? error.code;
  }
}

const block = await provider.getBlock(transferred.blockNumber, true);
const answer = {
  status: [minted.status, transferred.status],
  balances: [await coin.balanceOf(holder.address), await coin.balanceOf(owner.address)].map(Number),
  event: transferred.logs[0].fragment.name,
  transfers: (await coin.queryFilter(coin.filters.Transfer(), minted.blockNumber)).length,
  inBlock: block.prefetchedTransactions.some((each) => each.hash === transferred.hash && each.from === holder.address),
  tooMuch: await refusal(coin.connect(holder).transfer.staticCall(owner.address, 10_000n)),
  notMinter: await refusal(coin.connect(holder).mint.staticCall(owner.address, 1n)),
  estimated: await refusal(coin.connect(holder).mint(owner.address, 1n)),
  oldNonce: await refusal(holder.sendTransaction({ to: owner.address, nonce: 0, gasLimit: 30_000n })),
  identity: await refusal((await provider.getSigner()).sendTransaction({ to: owner.address })),
};

// ethers doesn't say when a subscription stands, so something happens until it was heard of.
const socket = new WebSocketProvider(url.replace("http", "ws"));
coin.connect(socket).once("Transfer", (from, to, value) => (answer.heard = Number(value)));
for (let times = 0; answer.heard === undefined && times < 50; times++) {
  await (await coin.transfer(owner.address, 7n)).wait();
}
console.log(JSON.stringify(answer));
await socket.destroy();
provider.destroy();
