/**
 * Turns the table of architecture.config.js into lint rules. Both the linter and test/architecture.test.ts use these,
 * so there is one judge.
 */
import { posix } from 'node:path';
import { bans, folders } from '../architecture.config.js';

/** @typedef {'value' | 'type' | 'dynamic'} ImportKind */

/**
 * What is wrong with an import, or `undefined`.
 *
 * @param {string} file the importing file, relative to the root, with forward slashes
 * @param {string} specifier
 * @param {ImportKind} kind
 * @returns {string | undefined}
 */
export function judgeImport(file, specifier, kind) {
  const from = place(file);
  if (from.folder === undefined) {
    return specifier.startsWith('./') ? undefined : `${file} re-exports our own files only, not '${specifier}'.`;
  }
  const rule = folders[from.folder];
  if (rule === undefined) return `src/${from.folder} is not in architecture.config.js: say there what it may import.`;

  if (!specifier.startsWith('.')) return judgePackage(from, rule, specifier, kind);
  if (!specifier.endsWith('.js')) return `'${specifier}': source files import each other with the ending .js.`;

  const target = posix.join(posix.dirname(file), specifier);
  if (!target.startsWith('src/')) return `'${specifier}' leaves src.`;
  const to = place(target);
  if (to.folder === undefined) return `Nothing imports ${target}: it is the way in for users.`;
  if (to.folder === from.folder) return judgeSibling(from, rule, to);
  if (rule.imports.includes(to.folder)) return undefined;
  if (rule.types?.includes(to.folder)) {
    return kind === 'type' ? undefined : `src/${from.folder} may import only types from src/${to.folder}.`;
  }
  return `src/${from.folder} may not import src/${to.folder} (see architecture.config.js).`;
}

/** @typedef {{ folder: string | undefined, adapter: string | undefined }} Place */

/** @type {(path: string) => Place} */
function place(path) {
  const [, folder, adapter] = path.split('/').slice(0, -1);
  return { folder, adapter };
}

/** @type {(from: Place, rule: import('../architecture.config.js').Folder, to: Place) => string | undefined} */
function judgeSibling(from, rule, to) {
  if (rule.shared === undefined || to.adapter === undefined || to.adapter === from.adapter) return undefined;
  if (rule.shared.includes(to.adapter)) return undefined;
  return `Adapters in src/${String(from.folder)} stand alone: nothing beside it may import ${to.adapter}.`;
}

/** @type {(from: Place, rule: import('../architecture.config.js').Folder, specifier: string, kind: ImportKind) => string | undefined} */
function judgePackage(from, rule, specifier, kind) {
  if (specifier.startsWith('node:')) {
    return rule.node === true
      ? undefined
      : `src/${String(from.folder)} may not import Node's modules ('${specifier}').`;
  }
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  if (rule.packages?.includes(name)) return undefined;
  if (rule.drivers?.[from.adapter ?? '']?.includes(name)) {
    return kind === 'dynamic'
      ? undefined
      : `'${name}' is optional: type the part of it you need, and load it with import() when it is needed.`;
  }
  return `src/${String(from.folder)} may not import the package '${name}' (see architecture.config.js).`;
}

/** @type {import('eslint').Rule.RuleModule} */
const imports = {
  create(context) {
    const file = posix.relative(context.cwd.replaceAll('\\', '/'), context.filename.replaceAll('\\', '/'));
    /** @type {(node: any, source: any, kind: ImportKind) => void} */
    const check = (node, source, kind) => {
      const message =
        typeof source?.value === 'string'
          ? judgeImport(file, source.value, kind)
          : kind === 'dynamic' && folders[place(file).folder ?? '']?.node !== true
            ? 'Only a literal can be checked here.'
            : undefined;
      if (message !== undefined) context.report({ node, message });
    };
    return {
      ImportDeclaration: (/** @type {any} */ node) =>
        check(node, node.source, node.importKind === 'type' ? 'type' : 'value'),
      'ExportNamedDeclaration[source]': (/** @type {any} */ node) =>
        check(node, node.source, node.exportKind === 'type' ? 'type' : 'value'),
      ExportAllDeclaration: (/** @type {any} */ node) =>
        check(node, node.source, node.exportKind === 'type' ? 'type' : 'value'),
      ImportExpression: (/** @type {any} */ node) => check(node, node.source, 'dynamic'),
      TSImportType: (/** @type {any} */ node) => check(node, node.source ?? node.argument?.literal, 'type'),
      TSExternalModuleReference: (/** @type {any} */ node) => check(node, node.expression, 'value'),
    };
  },
};

const plugin = { meta: { name: 'architecture' }, rules: { imports } };

const barrel = [
  'Program > :not(ImportDeclaration, ExportAllDeclaration, ExportNamedDeclaration)',
  'Program > ExportNamedDeclaration[declaration!=null]',
].map((selector) => ({ selector, message: 'An index.ts only re-exports: move this to a file with a name.' }));

/**
 * One block per folder, and one for the index files in it.
 * @type {import('eslint').Linter.Config[]}
 */
export const architecture = [
  {
    name: 'architecture/root',
    files: ['src/*.ts'],
    plugins: { architecture: plugin },
    rules: { 'architecture/imports': 'error', 'no-restricted-syntax': ['error', ...barrel] },
  },
  ...Object.entries(folders).flatMap(([folder, rule]) => {
    const banned = rule.bans.flatMap(
      (name) => /** @type {readonly import('../architecture.config.js').Ban[]} */ (bans[name]),
    );
    const syntax = banned.flatMap((ban) => ('selector' in ban ? [ban] : []));
    const names = banned.flatMap((ban) => ('global' in ban ? [{ name: ban.global, message: ban.message }] : []));
    /** @type {(name: string, files: string, selectors: typeof syntax) => import('eslint').Linter.Config} */
    const block = (name, files, selectors) => ({
      name: `architecture/${name}`,
      files: [files],
      plugins: { architecture: plugin },
      rules: {
        'architecture/imports': 'error',
        'no-restricted-syntax': selectors.length > 0 ? ['error', ...selectors] : 'off',
        'no-restricted-globals': names.length > 0 ? ['error', { globals: names, checkGlobalObject: true }] : 'off',
      },
    });
    return [
      block(folder, `src/${folder}/**/*.ts`, syntax),
      block(`${folder}/index`, `src/${folder}/**/index.ts`, [...syntax, ...barrel]),
    ];
  }),
  {
    // A folder that is not in the table yet.
    name: 'architecture/unknown',
    files: ['src/*/**/*.ts'],
    ignores: Object.keys(folders).map((folder) => `src/${folder}/**`),
    plugins: { architecture: plugin },
    rules: { 'architecture/imports': 'error' },
  },
];
