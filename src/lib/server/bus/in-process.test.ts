import { expect, test, vi } from 'vitest';
import { bytesToId, type AccountId } from '#lib/protocol/ids.ts';
import { busContract } from './bus.contract.ts';
import { createInProcessBus } from './in-process.ts';
import type { BusChannel } from './port.ts';

busContract('in-process', { open: async () => createInProcessBus({ report: () => {} }) });

test('[SV2] a listener that throws is reported and stops nobody', async () => {
  const reported: unknown[] = [];
  const bus = createInProcessBus({ report: (error) => reported.push(error) });
  const channel: BusChannel = `u:${bytesToId<AccountId>(new Uint8Array(16))}`;
  const heard: string[] = [];
  bus.subscribe(channel, () => {
    throw new Error('planted');
  });
  bus.subscribe(channel, (message) => heard.push(message.type));
  bus.publish([channel], { type: 'profile', account: bytesToId<AccountId>(new Uint8Array(16)) });
  await vi.waitUntil(() => heard.length === 1);
  expect(reported).toEqual([new Error('planted')]);
});
