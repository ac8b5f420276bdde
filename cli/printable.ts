/** What the palette makes of text; no other sequence reaches a terminal. */
const COLOURS = '\\u001b\\[(?:[12]|22|3[1-39])m';
/** What steers a terminal, or makes it show text in another order than it has. Tabs and line feeds stay. */
const STEERING = '[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]';
const EITHER = new RegExp(`(${COLOURS})|${STEERING}`, 'g');

/**
 * Text of others (reasons, names, commands, words of a site) for a terminal: what would steer it is written as
 * `\u001b`, so that nobody moves the cursor, renames the window or hides a line of somebody else. JSON stays JSON.
 */
export const printable = (text: string): string =>
  text.replace(EITHER, (found, colour?: string) => colour ?? escaped(found));

const escaped = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
