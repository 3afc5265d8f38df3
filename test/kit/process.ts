// One node or relay as a process of its own, without a supervisor.

import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { type Json, onJsonLine, spawnChappe } from "./command.ts"

/** How a process ended, and what it said about that. */
export type End = {
  readonly code: number | null
  readonly signal: string | null
  readonly error: string | undefined
  readonly says: string
}

export class OneProcess {
  readonly child: ChildProcess
  /** Resolves once it is ready, or with its end. */
  readonly ready: Promise<End | undefined>
  readonly ended: Promise<End>

  /** `child`: for one that was started in another way, as under a tracer. */
  constructor(role: "relay" | "node", dir: string, child?: ChildProcess) {
    this.child = child ?? spawnChappe([role, "start", "--dir", dir, "--json", "--with-parent"])
    let error: Json | undefined
    let stderr = ""
    this.child.stderr
      ?.setEncoding("utf8")
      .on("data", (text: string) => (stderr = `${stderr}${text}`.slice(-2_000)))
    const isUp = new Promise<undefined>((resolve) => {
      onJsonLine(this.child, (line) => {
        if (line["error"] !== undefined) error = line["error"] as Json
        if (line["event"] === "ready") resolve(undefined)
      })
    })
    this.ended = once(this.child, "close").then((end: unknown[]): End => {
      const [code, signal] = end as [number | null, string | null]
      const says = error === undefined ? stderr : String(error["message"])
      return { code, signal, says, error: error === undefined ? undefined : String(error["code"]) }
    })
    this.ready = Promise.race([isUp, this.ended])
  }

  async stop(): Promise<End> {
    this.child.kill("SIGTERM")
    // A tracer takes no signals; what it traces ends when nobody holds its stdin any more.
    this.child.stdin?.end()
    return this.ended
  }
}
