import { describe, expect, test } from 'vitest';
import * as der from '../../../service/pki/der.ts';

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const value = (hex: string): der.Der => der.readDer(bytes(hex));

describe('what is not DER is refused', () => {
  test.for([
    ['an empty text', '', 'ends within a header'],
    ['a cut header', '30', 'ends within a header'],
    ['a cut value', '30 05 01', 'ends within a value'],
    ['bytes behind the value', '05 00 00', 'bytes after the end'],
    ['an indefinite length', '30 80 00 00', 'indefinite'],
    ['a padded length', '04 81 01 00', 'padded length'],
    ['a length with a leading zero', `04 82 00 80 ${'00'.repeat(128)}`, 'padded length'],
    ['a length of five bytes', '04 85 01 00 00 00 00', 'huge'],
    ['a long-form tag', '1f 81 00 00', 'long-form tag'],
  ] as const)('%s', ([, hex, why]) => expect(() => value(hex)).toThrow(why));

  test.for([
    ['an integer with leading zeros', () => der.readIntegerBytes(value('02 02 00 01'))],
    ['an integer with leading ones', () => der.readIntegerBytes(value('02 02 ff 80'))],
    ['an empty integer', () => der.readIntegerBytes(value('02 00'))],
    ['a negative count', () => der.readSmallInteger(value('02 01 ff'))],
    ['a huge count', () => der.readSmallInteger(value('02 05 01 00 00 00 00'))],
    ['a boolean of 1', () => der.readBoolean(value('01 01 01'))],
    ['a long boolean', () => der.readBoolean(value('01 02 ff ff'))],
    ['a padded object identifier', () => der.readOid(value('06 03 2a 80 01'))],
    ['a cut object identifier', () => der.readOid(value('06 02 2a 80'))],
    ['an empty object identifier', () => der.readOid(value('06 00'))],
    ['a key of a broken byte', () => der.readBitBytes(value('03 02 01 00'))],
    ['flags with eight unused bits', () => der.readBitFlags(value('03 02 08 00'))],
    ['a missing field', () => der.fieldsOf(value('30 00')).next()],
    ['a field too many', () => der.fieldsOf(value('30 02 05 00')).end()],
    ['another type', () => der.readOid(value('05 00'))],
  ] as const)('%s', ([, read]) => expect(read).toThrow(der.DerError));

  test.for(['260230120000Z', '261301120000Z', '2601011200Z', '260101120000', '260101120060Z'])(
    'the time %s',
    (text) => {
      const time = der.readDer(der.tlv(der.TAG.utcTime, Buffer.from(text)));
      expect(() => der.readTime(time)).toThrow(der.DerError);
    },
  );
});

describe('what is written is read back', () => {
  test.for([0, 1, 127, 128, 255, 256, 65_535, 2 ** 31 - 1])('the number %i', (number) => {
    expect(der.readSmallInteger(der.readDer(der.integer(number)))).toBe(number);
  });
  test.for(['2.5.29.15', '1.3.6.1.4.1.8005.100.100.5', '0.9.2342.19200300.100.1.25', '2.999.1'])(
    'the object identifier %s',
    (dotted) => expect(der.readOid(der.readDer(der.oid(dotted)))).toBe(dotted),
  );
  test.for([
    '1950-01-01T00:00:00Z',
    '1999-12-31T23:59:59Z',
    '2049-12-31T23:59:59Z',
    '2050-01-01T00:00:00Z',
    '2024-02-29T12:00:00Z',
  ])('the time %s', (iso) =>
    expect(der.readTime(der.readDer(der.time(Date.parse(iso))))).toBe(Date.parse(iso)),
  );
  test('flags, with no zero bits at the end', () => {
    expect([...der.readBitFlags(der.readDer(der.bitFlags([0, 5, 8])))]).toEqual([0, 5, 8]);
    expect(Buffer.from(der.bitFlags([5, 6])).toString('hex')).toBe('03020106');
    expect(Buffer.from(der.bitFlags([])).toString('hex')).toBe('030100');
  });
  test.for([0, 127, 128, 255, 256, 65_536])('a value of %i bytes', (length) => {
    const contents = new Uint8Array(length).fill(7);
    expect(der.readDer(der.octetString(contents)).value).toEqual(Buffer.from(contents));
  });
});
