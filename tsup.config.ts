import { defineConfig, type Options } from 'tsup';
import { buildEntries } from './scripts/subpaths.mjs';

type Plugin = NonNullable<Options['plugins']>[number];

/** The bundler writes `var Foo = class _Foo` where a class refers to itself; users would meet `_Foo` in logs. */
const keepClassNames: Plugin = {
  name: 'keep-class-names',
  renderChunk(code) {
    const renamed = [...code.matchAll(/\bvar (\w+) = class _\1\b/g)].map((match) => match[1] ?? '');
    if (renamed.length === 0) return undefined;
    return { code: code.replace(new RegExp(`\\b_(${renamed.join('|')})\\b`, 'g'), '$1') };
  },
};

export default defineConfig({
  entry: buildEntries,
  format: ['esm', 'cjs'],
  dts: true,
  target: 'node20',
  platform: 'node',
  // Shared chunks, in both formats: one copy of every class and of all module state, however many subpaths a program
  // loads. The tree-shaking pass is also what keeps the CommonJS chunks modern: it leaves `?.`, private fields and
  // `import()` alone, where tsup's other way of splitting CommonJS rewrites them.
  splitting: true,
  treeshake: true,
  removeNodeProtocol: false,
  // The code is not minified, so stack traces can be read as they are. Maps were two thirds of the package.
  sourcemap: false,
  minify: false,
  clean: true,
  // It comes as ESM only, which `require` cannot load on every Node that is supported.
  noExternal: ['devalue'],
  plugins: [keepClassNames],
});
