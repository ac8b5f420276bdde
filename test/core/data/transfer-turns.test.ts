import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  openTransferTurns,
  type TransferLimits,
  type TransferWish,
} from '../../../core/data/transfer-turns.ts';

/** `demo/ada`, and `demo/ada*` for the background. */
const wishOf = (text: string): TransferWish => {
  const [vo = '', user = ''] = text.replace('*', '').split('/');
  return { vo, user, background: text.endsWith('*') };
};
const textOf = ({ vo, user, background }: TransferWish): string =>
  `${vo}/${user}${background ? '*' : ''}`;

/** The order in which all of these begin, when each ends before the next begins. */
function orderOf(wishes: readonly string[], limits: TransferLimits): readonly string[] {
  const turns = openTransferTurns<TransferWish>(limits);
  for (const wish of wishes) turns.add(wishOf(wish));
  const order: string[] = [];
  for (let wish = turns.next(); wish !== undefined; wish = turns.next()) {
    order.push(textOf(wish));
    turns.ended(wish);
  }
  return order;
}

const ONE = { most: 1, mostPerVo: 1 };
const times = (count: number, wish: string): readonly string[] =>
  Array.from({ length: count }, () => wish);

describe('turns', () => {
  test('users of a VO come in turn, however much one of them wants', () => {
    const order = orderOf([...times(4, 'demo/ada'), 'demo/bob', 'demo/eve'], ONE);
    expect(order.slice(0, 3)).toEqual(['demo/ada', 'demo/bob', 'demo/eve']);
  });

  test('VOs come in turn, however many users one of them has', () => {
    const order = orderOf(['demo/a', 'demo/b', 'demo/c', 'demo/d', 'bio/x', 'bio/x'], ONE);
    expect(order.slice(0, 4)).toEqual(['demo/a', 'bio/x', 'demo/b', 'bio/x']);
  });

  test('what nobody waits for comes last, and once in eight', () => {
    const order = orderOf([...times(2, 'demo/ada*'), ...times(20, 'demo/ada')], ONE);
    expect(order.indexOf('demo/ada*')).toBe(7);
    expect(order.lastIndexOf('demo/ada*')).toBe(15);
    expect(order).toHaveLength(22);
  });

  test('a VO has no more places than it may, and another VO the rest', () => {
    const turns = openTransferTurns<TransferWish>({ most: 4, mostPerVo: 2 });
    for (const wish of [...times(5, 'demo/ada'), ...times(5, 'bio/x')]) turns.add(wishOf(wish));
    const begun = Array.from({ length: 5 }, () => turns.next());
    expect(begun.map((wish) => wish && textOf(wish))).toEqual([
      ...['demo/ada', 'bio/x', 'demo/ada', 'bio/x', undefined],
    ]);
    expect(turns.counts()).toEqual([
      { vo: 'bio', moving: 2, waiting: 3, background: 0 },
      { vo: 'demo', moving: 2, waiting: 3, background: 0 },
    ]);
  });

  test('the background has a quarter of the places at most, so that a job finds one', () => {
    const turns = openTransferTurns<TransferWish>({ most: 8, mostPerVo: 8 });
    for (const wish of times(8, 'demo/ada*')) turns.add(wishOf(wish));
    expect([turns.next(), turns.next(), turns.next()].map((wish) => wish !== undefined)).toEqual([
      ...[true, true, false],
    ]);
    turns.add(wishOf('demo/bob'));
    expect(turns.next()).toEqual(wishOf('demo/bob'));
  });

  test('who is let go of while waiting takes no turn, and nobody else loses one', () => {
    const turns = openTransferTurns<TransferWish>(ONE);
    const [first, second, third, other] = ['demo/ada', 'demo/ada', 'demo/ada', 'bio/x*'].map(
      wishOf,
    );
    const all = [first, second, third, other].filter((wish) => wish !== undefined);
    for (const wish of all) turns.add(wish);
    expect(turns.next()).toBe(first);
    expect([first, second, other].map((wish) => wish && turns.remove(wish))).toEqual([
      ...[false, true, true],
    ]);
    expect(turns.counts()).toEqual([{ vo: 'demo', moving: 1, waiting: 1, background: 0 }]);
    if (first !== undefined) turns.ended(first);
    expect([turns.next(), turns.next()]).toEqual([third, undefined]);
    expect(turns.remove(wishOf('demo/ada'))).toBe(false);
  });

  test('no more are silent than there are places, nor of a VO than it may have', () => {
    const begunWith = (limits: TransferLimits, wishes: readonly string[]): readonly string[] => {
      const turns = openTransferTurns<TransferWish>(limits);
      for (const wish of wishes) turns.add(wishOf(wish));
      const begun: TransferWish[] = [];
      for (let one = turns.next(); one !== undefined; one = turns.next()) {
        begun.push(one);
        for (const other of begun) turns.setSilent(other, true);
      }
      return begun.map(textOf);
    };
    const ada = times(9, 'demo/ada');
    expect(begunWith({ most: 2, mostPerVo: 2 }, ada)).toHaveLength(4);
    expect(begunWith({ most: 4, mostPerVo: 1 }, ada)).toHaveLength(2);
    expect(begunWith({ most: 4, mostPerVo: 1 }, [...ada, 'bio/x']).toSorted()).toEqual([
      ...['bio/x', 'demo/ada', 'demo/ada'],
    ]);
  });

  test('whatever comes, no limit is passed, all begin in the end, and none begins twice', () => {
    const wish = fc.constantFrom('a/u', 'a/v', 'b/u', 'b/w', 'a/u*', 'b/v*', 'c/z*').map(wishOf);
    const limits = fc.record({
      most: fc.integer({ min: 1, max: 6 }),
      mostPerVo: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(wish, fc.boolean())), limits, (steps, limit) => {
        const turns = openTransferTurns<TransferWish>(limit);
        const moving: TransferWish[] = [];
        const begun = new Set<TransferWish>();
        const begin = (): void => {
          for (let one = turns.next(); one !== undefined; one = turns.next()) {
            expect(begun.has(one)).toBe(false);
            begun.add(one);
            moving.push(one);
          }
          expect(moving.length).toBeLessThanOrEqual(limit.most);
          for (const { vo } of moving)
            expect(moving.filter((one) => one.vo === vo).length).toBeLessThanOrEqual(
              limit.mostPerVo,
            );
        };
        const end = (): void => {
          const one = moving.shift();
          if (one !== undefined) turns.ended(one);
        };
        const all = steps.map(([one, isEnd]) => {
          const own = { ...one };
          turns.add(own);
          begin();
          if (isEnd) end();
          return own;
        });
        begin();
        while (moving.length > 0) {
          end();
          begin();
        }
        expect(begun.size).toBe(all.length);
        expect(turns.counts()).toEqual([]);
      }),
    );
  });
});
