/**
 * Records anew what passes between the driver and a Weaviate server while the contract suite runs, for the tests that need
 * no server. The server should hold no collections but ours; recorded with 1.39.0.
 *
 *   WEAVIATE_URL=http://127.0.0.1:8080 node test/fakes/weaviate-record.ts
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const suite = fileURLToPath(new URL('../core/drivers/chunks/weaviate/contract.test.ts', import.meta.url));

if (process.env.WEAVIATE_URL === undefined) {
  console.error('Set WEAVIATE_URL to a Weaviate server that may be filled and emptied.');
  process.exitCode = 2;
} else {
  const child = spawn(process.execPath, [vitest, 'run', suite, '-t', 'recording the contract'], {
    stdio: 'inherit',
    env: { ...process.env, WEAVIATE_RECORD: 'yes' },
  });
  child.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
