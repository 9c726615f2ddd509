/** For a machine that counts the tests: TEST_RESULTS names a folder, and each suite leaves `<name>.json` there. */
export const resultsIn = (name: string): { readonly reporters?: ['default', ['json', { outputFile: string }]] } => {
  const folder = process.env.TEST_RESULTS;
  return folder === undefined ? {} : { reporters: ['default', ['json', { outputFile: `${folder}/${name}.json` }]] };
};
