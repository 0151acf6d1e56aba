import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { ConnectError } from "@connectrpc/connect";

import { ClearwayError } from "../errors.js";
import { NotConformingError } from "./errors.js";
import { play } from "./playing.js";
import { NEEDS, readAll, type Scenario } from "./reading.js";
import { ServerTarget, StartedTarget } from "./target.js";

// From dist/src/conformance, in a checkout.
const SCENARIOS = fileURLToPath(new URL("../../../../../tests/conformance/scenarios", import.meta.url));
const USAGE = `usage: conformance (--address HOST:PORT | --server COMMAND) [options]

  --address HOST:PORT    a server that runs; its clock is not moved
  --server COMMAND       starts a server whose clock can be moved
  --only TEXT            plays the scenarios with this in their name or file
  --scenarios FOLDER     where they are (default: those of the checkout)
  --help                 shows this`;

class UsageError extends ClearwayError {}

function parse(args: string[]) {
  const text = { type: "string" } as const;
  const options = { address: text, server: text, only: text, scenarios: text, help: { type: "boolean" } } as const;
  let values;
  try {
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const { address, server, only = "", scenarios = SCENARIOS } = values;
  if ((address === undefined) === (server === undefined)) throw new UsageError("give either --address or --server");
  if (address !== undefined && !/^.+:[0-9]{1,5}$/.test(address)) {
    throw new UsageError(`--address is '${address}'; it must be HOST:PORT`);
  }
  return { address, server, only, scenarios };
}

/** Plays scenarios and writes a line about each; returns 1 if one failed. */
async function run(scenarios: Scenario[], target: ServerTarget): Promise<number> {
  let failed = 0;
  let leftOut = 0;
  for (const scenario of scenarios) {
    const absent = scenario.needs.filter((need) => !target.offers.has(need)).sort();
    if (absent.length > 0) {
      leftOut++;
      console.log(`left out  ${scenario.name}: it needs that ${absent.map((need) => NEEDS[need]).join(" and ")}`);
      continue;
    }
    try {
      await play(scenario, target);
      console.log(`passed    ${scenario.name}`);
    } catch (error) {
      if (!(error instanceof NotConformingError)) throw error;
      failed++;
      console.log(`FAILED    ${error.message}`);
    }
  }
  console.log(`${scenarios.length - failed - leftOut} passed, ${failed} failed, ${leftOut} left out`);
  return failed > 0 ? 1 : 0;
}

async function main(): Promise<number> {
  const { address, server, only, scenarios } = parse(process.argv.slice(2));
  const chosen = readAll(scenarios).filter((each) => each.name.includes(only) || each.file.includes(only));
  if (chosen.length === 0) throw new UsageError(`no scenario has '${only}' in its name or file`);
  const target =
    address === undefined ? await StartedTarget.start(server ?? "") : new ServerTarget().connect(address);
  try {
    return await run(chosen, target);
  } finally {
    await target.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof ConnectError) console.error(`the server does not answer: ${error.message}`);
  else if (error instanceof UsageError) console.error(`${error.message}\n\n${USAGE}`);
  else if (error instanceof ClearwayError) console.error(error.message);
  else throw error;
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
