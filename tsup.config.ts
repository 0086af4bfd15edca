import { defineConfig } from 'tsup';

/** The built files: one per subpath of the package. Keep in step with `exports` in package.json; test/package.test.ts compares the two. */
const entry = {
  index: 'src/index.ts',
  'testing/index': 'src/testing/index.ts',
};

export default defineConfig({
  entry,
  format: ['esm', 'cjs'],
  dts: true,
  target: 'node20',
  platform: 'node',
  // Shared chunks: one copy of the classes and of module state, however many subpaths a program loads.
  splitting: true,
  sourcemap: true,
  minify: false,
  clean: true,
});
