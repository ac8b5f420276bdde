/**
 * Whether a pattern of a signing policy covers a name: `*` is any text, `?` any one character, all else is itself.
 * Takes at most name times pattern steps.
 */
export function coversName(pattern: string, name: string): boolean {
  const wanted = oneSpelling(pattern);
  const given = oneSpelling(name);
  let at = 0;
  let star = -1;
  let resume = 0;
  let i = 0;
  while (i < given.length) {
    if (wanted[at] === '*') {
      star = at;
      resume = i;
      at += 1;
    } else if (at < wanted.length && (wanted[at] === '?' || wanted[at] === given[i])) {
      at += 1;
      i += 1;
    } else if (star >= 0) {
      resume += 1;
      i = resume;
      at = star + 1;
    } else {
      return false;
    }
  }
  while (wanted[at] === '*') at += 1;
  return at === wanted.length;
}

/** Old tools print `Email` and `USERID` for what newer ones call `emailAddress` and `UID`. */
const oneSpelling = (text: string): string =>
  text.replace(/\/(?:Email|E)=/g, '/emailAddress=').replace(/\/USERID=/g, '/UID=');
