// The processes of nodes and relays: alive, ready, their ports, their clocks.

import { createServer } from "node:net"
import { join } from "node:path"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import type { TrustedRelay } from "../../protocol/trust-file.ts"
import { readAnswer, sendRequest } from "../adapters/http-request.ts"
import { formatDuration } from "../duration.ts"
import { systemCode } from "../failure.ts"
import { isJsonObject, parseJson, textField } from "../json.ts"
import { cliLimits } from "../limits.ts"
import { exists, readText } from "../private-files.ts"
import { type World, nowSeconds } from "../world.ts"
import { type Check, bad, good, watch } from "./check.ts"

type Answer = { readonly status: number; readonly date: string | undefined }

/** Undefined where nobody answers. */
async function ask(url: string, certificate?: string): Promise<Answer | undefined> {
  try {
    const answer = await sendRequest({
      method: "GET",
      url,
      timeoutMs: cliLimits.livezMs,
      ...(certificate === undefined ? {} : { certificate }),
    })
    await readAnswer(answer, cliLimits.statementFileBytesMax)
    return { status: answer.status, date: answer.body.headers.date }
  } catch (error) {
    if (error instanceof ChappeError) return undefined
    throw error
  }
}

function readyCheck(about: string, url: string, answer: Answer): Check {
  return answer.status === 200
    ? good(about, `ready at ${url}`)
    : watch(about, `running at ${url}, not ready`, "wait; if it lasts, read run/process.log")
}

/** Whether somebody listens on a port of this machine. */
function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once("error", (error) => {
      resolve(systemCode(error) === "EADDRINUSE")
    })
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      server.close(() => {
        resolve(false)
      })
    })
  })
}

async function downCheck(about: string, start: string, ports: readonly number[]): Promise<Check> {
  for (const port of ports)
    if (await isTaken(port))
      return bad(
        about,
        `not running, and another process has its port ${port}`,
        "stop that process, or set another port in the configuration file",
      )
  return bad(about, "not running", `start it: ${start}`)
}

/** The ports that a configuration file names. */
async function portsIn(file: string): Promise<readonly number[]> {
  const text = await readText(file, cliLimits.statementFileBytesMax)
  return [...text.matchAll(/^\s*port\s*=\s*(\d{1,5})\s*$/gmu)].map(([, port]) => Number(port))
}

export async function checkNodeProcess(dir: string, name: string): Promise<Check> {
  const about = `node ${name}`
  const start = `chappe node start --dir ${dir}`
  const file = join(dir, "run", "api.json")
  const ports = await portsIn(join(dir, "node.toml"))
  if (!(await exists(file))) return downCheck(about, start, ports)
  const found = parseJson(await readText(file, cliLimits.secretFileBytesMax), file)
  const url = isJsonObject(found) ? textField(found, "url") : ""
  const answer = await ask(`${url}/readyz`)
  return answer === undefined ? downCheck(about, start, ports) : readyCheck(about, url, answer)
}

export async function checkRelayProcess(
  world: World,
  relay: TrustedRelay,
  dir: string | undefined,
): Promise<readonly Check[]> {
  const about = `relay ${relay.name}`
  const answer = await ask(`${relay.url}/readyz`, relay.certificate)
  if (answer === undefined)
    return [
      dir === undefined
        ? bad(
            about,
            `no answer at ${relay.url}`,
            "ask the relay's operator; mail is kept meanwhile",
          )
        : await downCheck(
            about,
            `chappe relay start --dir ${dir}`,
            await portsIn(join(dir, "relay.toml")),
          ),
    ]
  return [readyCheck(about, relay.url, answer), ...clockCheck(world, relay.name, answer.date)]
}

function clockCheck(world: World, name: string, date: string | undefined): readonly Check[] {
  const theirs = Date.parse(date ?? "") / 1000
  if (Number.isNaN(theirs)) return []
  const off = Math.abs(theirs - nowSeconds(world))
  const says = `${formatDuration(off)} from ${name}'s`
  if (off <= 2) return [good("clock", `agrees with ${name}'s`)]
  return off > limits.clockSkewSecondsMax
    ? [bad("clock", says, "set the clock: work is held until it agrees")]
    : [watch("clock", says, "set the clock; beyond 5 minutes work is held")]
}
