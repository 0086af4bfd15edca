/**
 * Turns the table of architecture.config.js into lint rules. Both the linter and test/architecture.test.ts use these,
 * so there is one judge.
 */
import { posix } from 'node:path';
import { bans, folders } from '../architecture.config.js';

/** @typedef {'value' | 'type' | 'dynamic'} ImportKind */
/** @typedef {keyof typeof bans} BanName */
/** @typedef {{ selector: string, message: string }} SyntaxBan */

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
    if (specifier.startsWith('./') && specifier !== './index.js') return undefined;
    if (specifier.startsWith('node:') && file !== 'src/index.ts') return undefined;
    return `${file} puts our own parts together and imports nothing else, not '${specifier}'.`;
  }
  const rule = folders[from.folder];
  if (rule === undefined) return `src/${from.folder} is not in architecture.config.js: say there what it may import.`;

  if (!specifier.startsWith('.')) return judgePackage(from, rule, specifier, kind);
  if (!specifier.endsWith('.js')) return `'${specifier}': source files import each other with the ending .js.`;

  const target = posix.join(posix.dirname(file), specifier);
  if (!target.startsWith('src/')) return `'${specifier}' leaves src.`;
  if (target === 'src/index.js') return 'Nothing imports src/index.ts: it is the way in for users.';
  const to = place(target);
  if (to.folder === undefined) {
    return rule.composition === true
      ? undefined
      : `src/${from.folder} may not import ${target}, which knows every part.`;
  }
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

/** @type {(name: string, glob: string, names: readonly BanName[], more?: readonly SyntaxBan[]) => import('eslint').Linter.Config} */
function block(name, glob, names, more = []) {
  /** @type {readonly import('../architecture.config.js').Ban[]} */
  const banned = names.flatMap((ban) => bans[ban]);
  const syntax = [...banned.flatMap((ban) => ('selector' in ban ? [ban] : [])), ...more];
  const globals = banned.flatMap((ban) => ('global' in ban ? [{ name: ban.global, message: ban.message }] : []));
  return {
    name: `architecture/${name}`,
    files: [glob],
    plugins: { architecture: plugin },
    rules: {
      'architecture/imports': 'error',
      'no-restricted-syntax': syntax.length > 0 ? ['error', ...syntax] : 'off',
      'no-restricted-globals': globals.length > 0 ? ['error', { globals, checkGlobalObject: true }] : 'off',
    },
  };
}

/**
 * One block per folder and one for the index files in it. The later block wins, so each is complete.
 * @type {import('eslint').Linter.Config[]}
 */
export const architecture = [
  // First, for a folder that is not in the table yet: the judge says so.
  block('unknown', 'src/**/*.ts', []),
  block('composition', 'src/*.ts', ['ambientTime']),
  block('root', 'src/index.ts', [], barrel),
  ...Object.entries(folders).flatMap(([folder, rule]) => [
    block(folder, `src/${folder}/**/*.ts`, rule.bans),
    block(`${folder}/index`, `src/${folder}/**/index.ts`, rule.bans, barrel),
  ]),
];
