// The recipient's book of its channels: how far each has come, what is held for its turn, and which
// numbers a tombstone settles. docs/PROTOCOL.md, "Channels" and "Tombstones".

import { toHex } from "../../protocol/bytes.ts"
import { bytes } from "../../protocol/codec.ts"
import {
  type ChannelIn,
  type Place,
  type Span,
  channelIn,
  newChannel,
  openSpans,
  passedOver,
  settled,
} from "./channel.ts"
import {
  type HeldDelivery,
  type StoredTombstone,
  heldDelivery,
  storedTombstone,
} from "./inbox-records.ts"
import type { Change } from "./ports.ts"
import { type Records, type Table, numberKey, walk } from "./records.ts"

/** `id`: of the message, in hex. */
type HeldPlace = { readonly id: string; readonly heldAt: number }

export class ChannelBook {
  readonly #records: Records
  readonly #channels: Table<ChannelIn>
  readonly #held: Table<HeldDelivery>
  readonly #tombstones: Table<StoredTombstone>
  readonly #ahead: Table<Uint8Array>
  /** By channel, then by number. */
  readonly #heldPlaces = new Map<string, Map<number, HeldPlace>>()
  /** Numbers above the last whose tombstone is here. */
  readonly #graves = new Map<string, Set<number>>()

  constructor(records: Records) {
    this.#records = records
    this.#channels = records.table("channel-in", channelIn)
    this.#held = records.table("held", heldDelivery)
    this.#tombstones = records.table("tombstone", storedTombstone)
    this.#ahead = records.table("tombstone-ahead", bytes(32))
  }

  /** Every channel in which a number is missing. */
  async load(): Promise<readonly string[]> {
    for await (const { key, item } of walk(this.#held)) {
      const { channel, seq } = placeOfKey(key)
      this.#rememberHeld(channel, seq, item)
    }
    for await (const { key } of walk(this.#ahead)) {
      const { channel, seq } = placeOfKey(key)
      this.#rememberGrave(channel, seq)
    }
    const open: string[] = []
    for await (const { key, item } of walk(this.#channels))
      if (item.missing.length > 0) open.push(key)
    return [...new Set([...open, ...this.#heldPlaces.keys(), ...this.#graves.keys()])]
  }

  get heldCount(): number {
    return [...this.#heldPlaces.values()].reduce((sum, places) => sum + places.size, 0)
  }

  channelsThatHold(): readonly string[] {
    return [...this.#heldPlaces.keys()]
  }

  async state(channel: string): Promise<ChannelIn> {
    return (await this.#channels.get(channel)) ?? newChannel
  }

  // ---- Held messages

  /** The numbers that are held; those that were put back come last. */
  heldNumbers(channel: string): readonly number[] {
    return [...(this.#heldPlaces.get(channel)?.keys() ?? [])]
  }

  /** Of what is held, this one is looked at last from now on. */
  putBack(channel: string, seq: number): void {
    const places = this.#heldPlaces.get(channel)
    const place = places?.get(seq)
    if (places === undefined || place === undefined) return
    places.delete(seq)
    places.set(seq, place)
  }

  isHeld(channel: string, seq: number): boolean {
    return this.#heldPlaces.get(channel)?.has(seq) === true
  }

  /** The message held at this place, in hex. */
  heldId(channel: string, seq: number): string | undefined {
    return this.#heldPlaces.get(channel)?.get(seq)?.id
  }

  /** Since when the channel holds mail above this number; Infinity where it holds none. */
  oldestHeldAt(channel: string, last: number): number {
    const places = [...(this.#heldPlaces.get(channel) ?? [])].filter(([seq]) => seq > last)
    return Math.min(...places.map(([, { heldAt }]) => heldAt))
  }

  /** Messages and tombstones that wait for their turn. */
  waitingCount(channel: string): number {
    return (this.#heldPlaces.get(channel)?.size ?? 0) + (this.#graves.get(channel)?.size ?? 0)
  }

  async held(channel: string, seq: number): Promise<HeldDelivery | undefined> {
    return await this.#held.get(placeKey(channel, seq))
  }

  async hold(channel: string, seq: number, held: HeldDelivery): Promise<void> {
    await this.#records.commit([this.#held.put(placeKey(channel, seq), held)])
    this.#rememberHeld(channel, seq, held)
  }

  /** What was held cannot be taken in any more. */
  async drop(channel: string, seq: number): Promise<void> {
    await this.#records.commit([this.#held.remove(placeKey(channel, seq))])
    removeFrom(this.#heldPlaces, channel, seq)
  }

  /** What waited at this place has had its turn, and its commit is done. */
  forget(channel: string, seq: number): void {
    removeFrom(this.#heldPlaces, channel, seq)
    removeFrom(this.#graves, channel, seq)
  }

  /** The message at this place was taken in or refused. */
  settledChanges(
    channel: string,
    state: ChannelIn,
    place: Place,
    id: Uint8Array,
  ): readonly Change[] {
    const key = placeKey(channel, place.channelSeq)
    return [
      this.#channels.put(channel, settled(state, place, id)),
      ...(this.isHeld(channel, place.channelSeq) ? [this.#held.remove(key)] : []),
      ...(this.hasGrave(channel, place.channelSeq) ? [this.#ahead.remove(key)] : []),
    ]
  }

  // ---- Tombstones

  hasGrave(channel: string, seq: number): boolean {
    return this.#graves.get(channel)?.has(seq) === true
  }

  graves(channel: string): readonly number[] {
    return [...(this.#graves.get(channel) ?? [])].toSorted((a, b) => a - b)
  }

  async tombstone(channel: string, seq: number): Promise<StoredTombstone | undefined> {
    return await this.#tombstones.get(placeKey(channel, seq))
  }

  /** Keeps a tombstone until its number has its turn. */
  async bury(channel: string, stone: StoredTombstone): Promise<void> {
    const key = placeKey(channel, stone.channelSeq)
    await this.#records.commit([
      this.#tombstones.put(key, stone),
      this.#ahead.put(key, stone.messageId),
    ])
    this.#rememberGrave(channel, stone.channelSeq)
  }

  /** The number is settled by its tombstone. */
  async settleBy(channel: string, state: ChannelIn, stone: StoredTombstone): Promise<ChannelIn> {
    const after = settled(state, stone, stone.messageId)
    const key = placeKey(channel, stone.channelSeq)
    await this.#records.commit([
      this.#channels.put(channel, after),
      this.#tombstones.put(key, stone),
      this.#ahead.remove(key),
    ])
    removeFrom(this.#graves, channel, stone.channelSeq)
    return after
  }

  /**
   * The numbers before `seq` have had their turn: those whose tombstone is here are settled by it, the others
   * are missing. A message that is held for one of them is still taken when it can be.
   */
  async passOver(channel: string, state: ChannelIn, seq: number): Promise<ChannelIn> {
    const buried = this.graves(channel).filter((one) => one < seq)
    const after = passedOver(state, seq, buried)
    await this.#records.commit([
      this.#channels.put(channel, after),
      ...buried.map((one) => this.#ahead.remove(placeKey(channel, one))),
    ])
    for (const one of buried) removeFrom(this.#graves, channel, one)
    return after
  }

  /** A tombstone that does not fit its place: its number stays open. */
  async exhume(channel: string, seq: number): Promise<void> {
    const key = placeKey(channel, seq)
    await this.#records.commit([this.#tombstones.remove(key), this.#ahead.remove(key)])
    removeFrom(this.#graves, channel, seq)
  }

  /** Numbers that are neither here nor settled. */
  async missing(channel: string): Promise<readonly Span[]> {
    return openSpans(await this.state(channel), this.heldNumbers(channel), this.graves(channel))
  }

  #rememberHeld(channel: string, seq: number, { messageId, heldAt }: HeldDelivery): void {
    const places = this.#heldPlaces.get(channel) ?? new Map<number, HeldPlace>()
    this.#heldPlaces.set(channel, places)
    places.set(seq, { id: toHex(messageId), heldAt })
  }

  #rememberGrave(channel: string, seq: number): void {
    const graves = this.#graves.get(channel) ?? new Set<number>()
    this.#graves.set(channel, graves)
    graves.add(seq)
  }
}

function placeKey(channel: string, seq: number): string {
  return `${channel}/${numberKey(seq)}`
}

function placeOfKey(key: string): { readonly channel: string; readonly seq: number } {
  const at = key.lastIndexOf("/")
  return { channel: key.slice(0, at), seq: Number.parseInt(key.slice(at + 1), 16) }
}

function removeFrom(
  places: Map<string, { delete(seq: number): boolean; readonly size: number }>,
  channel: string,
  seq: number,
): void {
  const found = places.get(channel)
  found?.delete(seq)
  if (found?.size === 0) places.delete(channel)
}
