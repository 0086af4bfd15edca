import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { subpaths } from './scripts/subpaths.mjs';

export default defineConfig({
  resolve: {
    // Tests import the package by its public names and get the sources.
    alias: subpaths.map(({ name, source }) => ({
      find: new RegExp(`^${name}$`),
      replacement: fileURLToPath(new URL(source, import.meta.url)),
    })),
  },
  test: {
    environment: 'node',
    include: ['test/**/*.test.ts'],
    // On a quiet machine the longest takes a quarter of it; beside other work it may take four times as long.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    restoreMocks: true,
    // Many files wait for servers and processes most of the time; one worker less than cores, the default, would too.
    maxWorkers: 3,
  },
});
