// A process whose wall clock a test moves while it runs, by libfaketime; its timers go on undisturbed.

import { access, writeFile } from "node:fs/promises"

const library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"

/** Why clocks cannot be moved here; undefined where they can. */
export async function movedClockUnavailable(): Promise<string | undefined> {
  try {
    await access(library)
    return undefined
  } catch {
    return "libfaketime is missing (Debian: faketime)"
  }
}

export class MovedClock {
  readonly #file: string

  private constructor(file: string) {
    this.#file = file
  }

  /** `file`: where the clock's setting is kept; it begins as the machine's. */
  static async at(file: string): Promise<MovedClock> {
    const clock = new MovedClock(file)
    await clock.set("+0")
    return clock
  }

  /** The command that runs another one under this clock. */
  get around(): readonly string[] {
    return [
      "env",
      `LD_PRELOAD=${library}`,
      `FAKETIME_TIMESTAMP_FILE=${this.#file}`,
      "FAKETIME_NO_CACHE=1",
      "FAKETIME_DONT_FAKE_MONOTONIC=1",
    ]
  }

  /** `+400d`, `-30s`, or with a rate `+0 x1.1`. */
  async set(offset: string): Promise<void> {
    await writeFile(this.#file, `${offset}\n`)
  }
}
