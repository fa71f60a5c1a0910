/** The promises of port.ts as one list of tests, run by each adapter's own test file. */
import { expect, test, vi } from 'vitest';
import { bytesToId, type AccountId, type ConversationId } from '#lib/protocol/ids.ts';
import type { Bus, BusMessage } from './port.ts';

const alice = bytesToId<AccountId>(new Uint8Array(16).fill(1));
const bob = bytesToId<AccountId>(new Uint8Array(16).fill(2));
const chat = bytesToId<ConversationId>(new Uint8Array(16).fill(3));
const moved = (logHeight: number): BusMessage => ({ type: 'group', conversation: chat, logHeight });

export function busContract(name: string, { open }: { readonly open: () => Promise<Bus> }): void {
  const contract = (title: string, body: (bus: Bus) => Promise<void>) =>
    test(`${title} (${name})`, async () => {
      const bus = await open();
      try {
        await body(bus);
      } finally {
        await bus.close();
      }
    });

  contract('[SV1] a message reaches every listener of its channels, and nobody else', async (bus) => {
    const heard: string[] = [];
    bus.subscribe(`u:${alice}`, (message) => heard.push(`alice 1 ${message.type}`));
    bus.subscribe(`u:${alice}`, (message) => heard.push(`alice 2 ${message.type}`));
    bus.subscribe(`u:${bob}`, (message) => heard.push(`bob ${message.type}`));
    bus.subscribe(`c:${chat}`, (message) => heard.push(`chat ${message.type}`));
    bus.publish([`u:${alice}`, `c:${chat}`], moved(1));
    await vi.waitUntil(() => heard.length === 3);
    expect(heard.sort()).toEqual(['alice 1 group', 'alice 2 group', 'chat group']);
  });

  contract('[SV1] messages of one publisher arrive in order, never inside the publisher\'s call', async (bus) => {
    const heights: number[] = [];
    bus.subscribe(`c:${chat}`, (message) => heights.push(message.type === 'group' ? message.logHeight : -1));
    for (let height = 0; height < 50; height++) bus.publish([`c:${chat}`], moved(height));
    expect(heights).toEqual([]);
    await vi.waitUntil(() => heights.length === 50);
    expect(heights).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  contract('[SV1] who stops hears no more, and others go on', async (bus) => {
    const heard: string[] = [];
    const stop = bus.subscribe(`c:${chat}`, () => heard.push('first'));
    bus.subscribe(`c:${chat}`, () => heard.push('second'));
    stop();
    stop();
    bus.publish([`c:${chat}`], moved(1));
    await vi.waitUntil(() => heard.length > 0);
    expect(heard).toEqual(['second']);
  });
}
