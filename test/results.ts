import { writeFileSync } from 'node:fs';
import type { Reporter, TestCase } from 'vitest/node';

/**
 * For a machine that counts the tests: TEST_RESULTS names a folder, and each suite leaves `<name>.json` there. Thousands of
 * tests over real sockets and processes then get a second try each, because one late timer of a busy machine would
 * otherwise stop a deploy; what needed it is named in `<name>-second-try.json`, for .ci/run to print, and to count as
 * failed where luck must play no part (`.ci/run` says where). Without TEST_RESULTS nothing is tried twice.
 */
export const resultsIn = (
  name: string,
): { readonly retry?: number; readonly reporters?: ['default', ['json', { outputFile: string }], Reporter] } => {
  const folder = process.env.TEST_RESULTS;
  if (folder === undefined) return {};
  return {
    retry: 1,
    reporters: [
      'default',
      ['json', { outputFile: `${folder}/${name}.json` }],
      secondTries(`${folder}/${name}-second-try.json`),
    ],
  };
};

const secondTries = (file: string): Reporter => {
  const names: string[] = [];
  return {
    onTestCaseResult: (test: TestCase) => {
      if (test.diagnostic()?.flaky === true) names.push(`${test.module.relativeModuleId} > ${test.fullName}`);
    },
    onTestRunEnd: () => writeFileSync(file, JSON.stringify(names)),
  };
};
