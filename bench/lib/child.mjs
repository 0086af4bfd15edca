/**
 * Takes one sample: `node child.mjs <measurement> <contender> [patience]`. A process of its own for each, so that the heap and the
 * compiled code of one contender are not another's.
 */
const [measurementId = '', contender = ''] = process.argv.slice(2);
/** @type {{ measurement: import('./measurement.mjs').Measurement }} */
const { measurement } = await import(new URL(`../measurements/${measurementId}.mjs`, import.meta.url).href);
const sample = await measurement.contenders[contender]?.measure();
if (process.send === undefined) {
  console.log(sample);
  process.exit();
}
process.send(sample, () => process.exit());
