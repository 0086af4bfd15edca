import { subpaths } from './scripts/subpaths.mjs';

/** @type {Partial<import('typedoc').TypeDocOptions>} */
export default {
  name: 'punctual',
  entryPoints: subpaths.map(({ source }) => source),
  out: 'docs/api',
  excludeInternal: true,
  excludePrivate: true,
  treatWarningsAsErrors: true,
  readme: 'README.md',
  includeVersion: true,
  disableSources: true,
};
