// The container and service files say what the programme can do, and take from it what it does not need.
// docker-compose.yml is read by its own regular form (two spaces a level); a YAML package would serve this alone.

import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { unknownWords } from "../kit/command-words.ts"

const compose = readFileSync("docker-compose.yml", "utf8")
const dockerfile = readFileSync("Dockerfile", "utf8")

/** The lines below `name:` that are indented deeper. */
function blockBelow(text: string, name: string, indent: number): string {
  const pad = " ".repeat(indent)
  const found = new RegExp(`^${pad}${name}:.*\\n(?<block>(?:${pad} .*\\n|\\s*\\n)*)`, "mu").exec(
    text,
  )
  return found?.groups?.["block"] ?? ""
}

/** A service's lines together with those that it merges in, its own first. */
function serviceText(name: string): string {
  return withMerged(blockBelow(blockBelow(compose, "services", 0), name, 2))
}

function withMerged(block: string): string {
  const merged = [...block.matchAll(/<<: \*(?<anchor>\w+)/gu)].map(({ groups }) =>
    withMerged(blockBelow(compose, `x-${groups?.["anchor"]}`, 0)),
  )
  return [block, ...merged].join("\n")
}

const services = [...blockBelow(compose, "services", 0).matchAll(/^ {2}(?<name>\w+):$/gmu)].map(
  ({ groups }) => groups?.["name"] ?? "",
)
const processes = services.filter((name) => name !== "init" && name !== "auditor")

/** The words of the service's command: its own, else the one that it merges in. */
function commandWords(service: string): readonly string[] {
  const found = /command:\s*\[(?<words>[^\]]+)\]/u.exec(serviceText(service))?.groups?.["words"]
  return (found ?? "")
    .split(",")
    .map((word) => word.trim().replaceAll('"', ""))
    .filter((word) => word !== "")
}

describe("docker-compose.yml", () => {
  test("has two relays, the desk, three nodes, and what makes and audits them", () => {
    expect(services).toEqual(["init", "hub1", "hub2", "hq", "fr", "jp", "br", "auditor"])
  })

  test.each(services)(
    "%s runs without rights, as nobody in particular, on a read-only root",
    (name) => {
      const text = serviceText(name)
      expect(text).toContain('user: "65532:65532"')
      expect(text).toContain("read_only: true")
      expect(text).toContain("cap_drop: [ALL]")
      expect(text).toContain('security_opt: ["no-new-privileges:true"]')
      expect(text).toMatch(/tmpfs: \["\/tmp:/u)
      expect(text).not.toMatch(/privileged: true|network_mode: host|docker\.sock/u)
    },
  )

  test.each(processes)("%s has a health check, and sees its own folder only", (name) => {
    const text = serviceText(name)
    expect(text).toMatch(/healthcheck:\n +test:/u)
    expect(text).toContain("/livez")
    const role = name.startsWith("hub") ? "relays" : "nodes"
    const folder = name.startsWith("hub") ? name : name.toUpperCase()
    expect(text).toContain(`subpath: lab/${role}/${folder} }`)
  })

  test("publishes the relays' HTTPS listeners on this machine, and nothing else", () => {
    const ports = [...compose.matchAll(/ports: \[(?<ports>[^\]]+)\]/gu)].map(
      ({ groups }) => groups?.["ports"],
    )
    expect(ports).toEqual(['"127.0.0.1:8443:8443"', '"127.0.0.1:8444:8443"'])
  })

  test.each(services)("the command table knows what %s runs", (name) => {
    expect(unknownWords(commandWords(name))).toEqual([])
  })
})

describe("Dockerfile", () => {
  test("takes any base, ends as a user without a name, and starts the built command", () => {
    expect(dockerfile.startsWith("ARG BASE=node:24-slim\nFROM ${BASE}")).toBe(true)
    const last = dockerfile.slice(dockerfile.lastIndexOf("FROM "))
    expect(last).toContain("USER 65532:65532")
    expect(last).toContain('ENTRYPOINT ["node", "--enable-source-maps", "/app/dist/cli/main.js"]')
    expect(last).toContain("/livez")
  })

  test("needs no shell: each instruction is in the exec form", () => {
    const run = dockerfile.match(/^\s*(?:RUN|CMD|ENTRYPOINT) .+$/gmu) ?? []
    expect(run.length).toBeGreaterThan(4)
    expect(run.filter((line) => !/ \[".*"\]$/u.test(line))).toEqual([])
  })
})

describe.each(["relay", "node"])("systemd/chappe-%s@.service", (role) => {
  const path = `systemd/chappe-${role}@.service`
  const unit = readFileSync(path, "utf8")

  test("starts a command of the table and waits until it says that it is ready", () => {
    const line = /^ExecStart=\/usr\/bin\/node --enable-source-maps \S+ (?<command>.+)$/mu.exec(unit)
    expect(unknownWords((line?.groups?.["command"] ?? "").split(" "))).toEqual([])
    expect(unit).toContain("Type=notify\nNotifyAccess=all\n")
    expect(unit).toContain(`StateDirectory=chappe/${role}-%i\nStateDirectoryMode=0700\n`)
  })

  const analyse = spawnSync("systemd-analyze", ["--version"]).status === 0
  test.skipIf(!analyse)("scores 2.0 or better with systemd-analyze", () => {
    const verdict = spawnSync("systemd-analyze", [
      "security",
      "--offline=true",
      "--threshold=20",
      path,
    ])
    expect(verdict.stderr.toString()).toBe("")
    expect(verdict.status).toBe(0)
  })
})
