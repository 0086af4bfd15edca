/** The same task, as tinypool calls it: with one argument. @param {{ a: number, b: number }} numbers */
export default ({ a, b }) => a + b;
