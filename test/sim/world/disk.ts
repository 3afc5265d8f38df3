// A machine's disk. What a write's promise has answered is kept; a crash before that may leave it or not. A
// write or a read can fail, the disk can be full, and after one failure it fails for as long as the process lives.

import { ChappeError } from "../../../protocol/errors.ts"
import type { Host, Life } from "./host.ts"

/** What does not wait for the disk here. */
const atOnce = ["close", "verify"]

export class Disk {
  readonly #life: Life
  readonly #host: Host
  #failure: ChappeError | undefined

  constructor(life: Life, host: Host) {
    this.#life = life
    this.#host = host
  }

  /** The store with the disk under it: `writes` are the methods that reach the disk. */
  under<T extends object>(store: T, writes: readonly (keyof T & string)[]): T {
    return new Proxy(store, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name)
        if (typeof method !== "function" || typeof name !== "string" || atOnce.includes(name))
          return method
        const call = async (args: readonly unknown[]): Promise<unknown> => {
          const answer: unknown = await Reflect.apply(method, target, args)
          return answer
        }
        const isWrite = writes.some((write) => write === name)
        return async (...args: readonly unknown[]) =>
          isWrite ? this.#write(name, () => call(args)) : this.#read(name, () => call(args))
      },
    })
  }

  async #write<T>(name: string, effect: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    const { random } = this.#host.sim
    this.#life.portCall()
    await this.#life.sleep(this.#host.slowDiskMs + random.below(4))
    this.#host.writesLeft -= 1
    if (this.#host.isDiskFull) throw this.#fail("disk-full", name)
    const isFailing = this.#host.writesLeft <= 0
    if (isFailing && random.below(2) === 0) throw this.#fail("storage", name)
    const result = await effect()
    // It is on the disk; whether anybody will be told is another question.
    this.#life.portCall()
    if (isFailing) throw this.#fail("storage", name)
    await this.#life.sleep(random.below(2))
    return result
  }

  async #read<T>(name: string, look: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    this.#life.portCall()
    if (this.#life.isOver) await new Promise(() => undefined)
    this.#host.readsLeft -= 1
    if (this.#host.readsLeft <= 0) throw this.#fail("storage", name)
    return look()
  }

  #fail(code: "storage" | "disk-full", name: string): ChappeError {
    this.#failure = new ChappeError(code, `${name} failed`)
    this.#host.hadFault = true
    this.#host.note(`disk: ${name} fails with ${code}`)
    return this.#failure
  }
}
