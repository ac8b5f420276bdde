import sax from 'sax';
import { BatchSilence } from '../batch/batch-command.ts';

/** An element of a document, with no more of XML than Grid Engine uses. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  readonly text: string;
}

interface OpenElement extends XmlElement {
  readonly children: XmlElement[];
  text: string;
}

/** The root of a whole, well-formed document that is called `root`; anything else is no answer of `command`. */
export function parseXml(text: string, root: string, command: string): XmlElement {
  const reader = sax.parser(true);
  const top = open('', {});
  const path = [top];
  reader.onopentag = ({ name, attributes }) => {
    const element = open(name, attributes as Record<string, string>);
    path.at(-1)?.children.push(element);
    path.push(element);
  };
  reader.onclosetag = () => {
    path.pop();
  };
  reader.ontext = (part) => {
    const element = path.at(-1);
    if (element !== undefined) element.text += part.trim();
  };
  reader.onerror = (error) => {
    throw error;
  };
  try {
    reader.write(text).close();
  } catch (error) {
    throw unreadable(command, text, error);
  }
  const [found] = top.children;
  if (found?.name !== root) throw unreadable(command, text);
  return found;
}

const open = (name: string, attributes: Readonly<Record<string, string>>): OpenElement => ({
  name,
  attributes,
  children: [],
  text: '',
});

export const childrenOf = ({ children }: XmlElement, name: string): readonly XmlElement[] =>
  children.filter((child) => child.name === name);

/** '' where it is not there. */
export const textOf = (element: XmlElement, name: string): string =>
  element.children.find((child) => child.name === name)?.text ?? '';

/** Elements of that name, however deep. */
export const findAll = (element: XmlElement, name: string): readonly XmlElement[] =>
  element.children.flatMap((child) => [
    ...(child.name === name ? [child] : []),
    ...findAll(child, name),
  ]);

export const unreadable = (command: string, text: string, cause?: unknown): BatchSilence =>
  new BatchSilence(`${command} said what cannot be understood: '${text.trim().slice(0, 80)}'`, {
    cause,
  });
