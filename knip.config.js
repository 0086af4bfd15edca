import { buildEntries } from './scripts/subpaths.mjs';

/** @type {import('knip').KnipConfig} */
export default {
  entry: [
    ...Object.values(buildEntries),
    'examples/**/*.ts',
    'scripts/*.{ts,mjs}',
    'bench/**/*.ts',
    'test/**/*.test.ts',
    // Started in processes and threads of their own.
    'test/**/fixtures/**/*.ts',
  ],
  project: ['src/**/*.ts', 'test/**/*.ts', 'examples/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.{ts,mjs}'],
  // Called as commands by scripts/check-package.mjs.
  ignoreDependencies: ['publint', '@arethetypeswrong/cli'],
  // `export` inside a file may also document what a type's parts are called.
  ignoreExportsUsedInFile: true,
};
