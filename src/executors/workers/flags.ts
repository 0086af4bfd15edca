const WITH_VALUE = ['-e', '--eval', '-p', '--print', '-pe'];
const OWN_ONLY = ['--eval=', '--print=', '--input-type', '--inspect', '--watch', '--test'];

/** The flags of this process that are as right for another one: loaders such as tsx, conditions, limits. */
export function processFlags(flags: readonly string[]): string[] {
  return flags.filter((flag, index) => {
    if (WITH_VALUE.includes(flag) || WITH_VALUE.includes(flags[index - 1] ?? '')) return false;
    return !OWN_ONLY.some((prefix) => flag.startsWith(prefix));
  });
}
