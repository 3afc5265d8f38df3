// The relay's two logs as its store has them: size, time of the last entry, bound directory size.

import type { Draft } from "./draft.ts"
import type { Keyring, OwnLog } from "./keyring.ts"
import type { RecordStore } from "./ports.ts"
import { type LogRecord, logRecord } from "./records.ts"
import { framed, openRecord, position, recordKey } from "./tables.ts"
import { relayLimits } from "../limits.ts"

export type LogState = { readonly own: OwnLog } & LogRecord

export function logKey(origin: string): Uint8Array {
  return recordKey("log", framed(origin))
}

export function entryKey(origin: string, index: number): Uint8Array {
  return recordKey("entry", framed(origin), position(index))
}

const nothing: LogRecord = { size: 0, time: 0, directorySize: 0 }

export function yearAt(seconds: number): number {
  return new Date(seconds * 1_000).getUTCFullYear()
}

export class Logs {
  #directory: LogState
  #traffic: LogState
  #isHeld: boolean

  private constructor(directory: LogState, traffic: LogState) {
    this.#directory = directory
    this.#traffic = traffic
    // What was never written cannot have been put back.
    this.#isHeld = directory.size > 0 || traffic.size > 0
  }

  static async open(store: RecordStore, keyring: Keyring, now: number): Promise<Logs> {
    const load = async (own: OwnLog): Promise<LogState> => ({
      own,
      ...(await loadLog(store, own.origin)),
    })
    return new Logs(
      await load(keyring.ownLog("directory", yearAt(now))),
      await load(keyring.ownLog("traffic", yearAt(now))),
    )
  }

  get directory(): LogState {
    return this.#directory
  }

  get traffic(): LogState {
    return this.#traffic
  }

  /** Nothing may be appended yet after a start; see `LogStart`. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  release(): void {
    this.#isHeld = false
  }

  /** Time for new entries of both logs; undefined while a log is ahead of `now` by more than the tolerance, or held. */
  timeFor(now: number): number | undefined {
    if (this.#isHeld || this.waits(now) !== undefined) return undefined
    return Math.max(this.#directory.time, this.#traffic.time, now)
  }

  /** Seconds until `timeFor` gives a time again; undefined while it does. */
  waits(now: number): number | undefined {
    const last = Math.max(this.#directory.time, this.#traffic.time)
    const seconds = last - now - relayLimits.clockAheadSeconds
    return seconds > 0 ? seconds : undefined
  }

  /** Writes a commit's entries and the logs' new states into its draft. */
  append(draft: Draft, time: number): { readonly directory: LogState; readonly traffic: LogState } {
    const directory = grown(draft, this.#directory, draft.directory, time)
    const traffic = grown(draft, this.#traffic, draft.traffic, time)
    const bound = { ...traffic, directorySize: draft.boundDirectorySize }
    if (directory.size !== this.#directory.size)
      draft.put(logRecord, logKey(directory.own.origin), directory)
    if (traffic.size !== this.#traffic.size) draft.put(logRecord, logKey(traffic.own.origin), bound)
    return { directory, traffic: bound }
  }

  /** The commit is durable. */
  adopt(states: { readonly directory: LogState; readonly traffic: LogState }): void {
    this.#directory = states.directory
    this.#traffic = states.traffic
  }

  /** Goes on with another shard, which is empty; keys keep being judged where they were. */
  roll(own: OwnLog): void {
    const { time, directorySize } = this.#traffic
    this.#traffic = { own, size: 0, time, directorySize }
  }
}

function grown(
  draft: Draft,
  state: LogState,
  entries: readonly Uint8Array[],
  time: number,
): LogState {
  entries.forEach((entry, i) => {
    draft.putBytes(entryKey(state.own.origin, state.size + i), entry)
  })
  return entries.length === 0 ? state : { ...state, size: state.size + entries.length, time }
}

export async function loadLog(store: RecordStore, origin: string): Promise<LogRecord> {
  const key = logKey(origin)
  const value = await store.get(key)
  return value === undefined ? nothing : logRecord.decode(openRecord(key, value))
}
