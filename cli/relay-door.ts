// A relay's operator's door, as the commands on its machine use it.

import { join } from "node:path"
import type { Static, TSchema } from "typebox"
import { Check } from "typebox/value"
import { ChappeError } from "../protocol/errors.ts"
import { readRelayConfig } from "../relay/config.ts"
import { doorPath } from "../relay/door-path.ts"
import { type HttpAnswer, readAnswer, sendRequest } from "./adapters/http-request.ts"
import type { Option } from "./command.ts"
import { answeredError } from "./failure.ts"
import { type Json, parseJson } from "./json.ts"
import { cliLimits } from "./limits.ts"
import { exists } from "./private-files.ts"

/** Options of every command that asks a running relay. */
export const relayOptions: readonly Option[] = [
  { name: "dir", value: "DIR", needed: true, help: "the relay's folder", offers: "folders" },
]

export type DoorRequest = {
  readonly method: "GET" | "POST" | "DELETE"
  readonly path: string
}

export class RelayDoor {
  readonly #socketPath: string

  private constructor(socketPath: string) {
    this.#socketPath = socketPath
  }

  /** Refused: `file-unreadable` for a folder that is not a relay's, `config`. */
  static async of(dir: string): Promise<RelayDoor> {
    if (!(await exists(join(dir, "relay.toml"))))
      throw new ChappeError("file-unreadable", `${dir} is not a relay's folder`)
    return new RelayDoor(doorPath((await readRelayConfig(dir)).run))
  }

  /** Refused: `relay-down`, and what the relay refuses. */
  async ask<T extends TSchema>(request: DoorRequest, answer: T): Promise<Static<T>> {
    const text = await this.text(request)
    const found: Json = parseJson(text, "the relay's answer")
    if (!Check(answer, found))
      throw new ChappeError("internal", "the relay's answer does not have its form")
    return found
  }

  /** Refused: as for `ask`. */
  async text({ method, path }: DoorRequest): Promise<string> {
    const socketPath = this.#socketPath
    let answer: HttpAnswer
    try {
      const url = `http://relay${path}`
      answer = await sendRequest({ method, url, socketPath, timeoutMs: cliLimits.requestMs })
    } catch (cause) {
      if (!(cause instanceof ChappeError) || cause.code !== "link-down") throw cause
      throw new ChappeError("relay-down", `nobody answers at ${socketPath}`, { cause })
    }
    const bytes = await readAnswer(answer, cliLimits.responseBytesMax)
    const text = new TextDecoder().decode(bytes)
    if (answer.status >= 300)
      throw answeredError(
        text,
        new ChappeError("internal", `the relay answered with status ${answer.status}`),
      )
    return text
  }
}
