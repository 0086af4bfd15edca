import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { architecture } from './scripts/architecture-rules.mjs';
import { maxLines } from './architecture.config.js';

export default defineConfig(
  globalIgnores(['dist/', 'docs/', 'coverage/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.{ts,mts,cts,js,mjs}'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-else-return': 'error',
      'no-implicit-coercion': 'error',
      'no-param-reassign': 'error',
      'no-template-curly-in-string': 'error',
      'object-shorthand': 'error',
      'prefer-object-has-own': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: false },
      ],
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: true }],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-empty-function': ['error', { allow: ['arrowFunctions', 'methods'] }],

      // An index into an array whose bounds the loop has just checked; with noUncheckedIndexedAccess, `!` says so.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Reports what another task changed during an `await` (`this.#closing`, `signal.aborted`) as impossible.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // A method of an asynchronous port is `async` so that it rejects rather than throws, also where it never waits.
      '@typescript-eslint/require-await': 'off',
      // Two overloads may say more to a reader than their union; a getter keeps a constant out of every instance.
      '@typescript-eslint/unified-signatures': 'off',
      '@typescript-eslint/class-literal-property-style': 'off',
      // `interface` or `type`, `T[]` or `Array<T>`: whichever reads better.
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/array-type': 'off',
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'max-lines': ['error', { max: maxLines }],
      'no-console': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
    },
  },
  {
    // Contracts are tables of cases, typed as a whole.
    files: ['src/testing/**/*.ts'],
    rules: { '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
  ...architecture,
  {
    // Tests and tools meet JSON, wrong values on purpose, and functions taken off their object.
    files: ['test/**', 'bench/**', 'examples/**', 'scripts/**', '*.{js,ts}'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    rules: { '@typescript-eslint/no-explicit-any': 'off' },
  },
);
