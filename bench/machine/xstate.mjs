// SPDX-License-Identifier: MIT
// The charts of machine_bench.c in XState: node xstate.mjs [SECONDS].  One line of JSON per measurement.
import { assign, createActor, createMachine } from 'xstate';

const seconds = Number(process.argv[2] ?? 2);
const toggle = { initial: 'a', states: { a: { on: { t: 'b' } }, b: { on: { t: 'a' } } } };

function play(name, config) {
  const actor = createActor(createMachine(config));
  actor.start();
  const event = { type: 't' };
  for (let i = 0; i < 20000; i++) actor.send(event); // what a compiler in time wants
  const began = process.hrtime.bigint();
  const end = began + BigInt(Math.round(seconds * 1e9));
  let count = 0;
  while (count % 1000 !== 0 || process.hrtime.bigint() < end) {
    actor.send(event);
    count++;
  }
  const took = Number(process.hrtime.bigint() - began) / 1e9;
  console.log(JSON.stringify({ name, per_s: Math.round(count / took) }));
}

const count = assign({ n: ({ context }) => context.n + 1 });
const even = ({ context }) => context.n % 2 === 0;
const odd = ({ context }) => context.n % 2 === 1;
const regions = {};
for (let i = 1; i <= 8; i++) {
  const actions = i === 1 ? count : undefined;
  regions[`r${i}`] = {
    initial: 'a',
    states: {
      a: { on: { t: { target: 'b', guard: even, actions } } },
      b: { on: { t: { target: 'a', guard: odd, actions } } },
    },
  };
}
const many = (size) => {
  const states = {};
  for (let i = 0; i < Math.floor(size / 3); i++) states[`s${i}`] = toggle;
  return { initial: 's0', states };
};

play('flat toggle', toggle);
play('parallel of 8, Lua guards', {
  context: { n: 0 },
  initial: 'top',
  states: { top: { initial: 'p', states: { p: { type: 'parallel', states: regions } } } },
});
play('50 states', many(50));
play('5000 states', many(5000));
