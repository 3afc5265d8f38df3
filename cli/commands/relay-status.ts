// `chappe relay status` and `chappe relay why`: what a running relay says of itself at its operator's door.

import { limits } from "../../protocol/limits.ts"
import {
  type LogFacts,
  type OwnFacts,
  type PeerFacts,
  type RelayFacts,
  memberFacts,
  relayFacts,
} from "../../relay/operator-facts.ts"
import type { Command } from "../command.ts"
import { formatBytes, formatDuration } from "../duration.ts"
import type { Output } from "../output.ts"
import { RelayDoor, relayOptions } from "../relay-door.ts"
import { drainText } from "./relay-drain.ts"
import { explain } from "../relay/explanation.ts"

export const relayStatus: Command = {
  name: "relay status",
  help: "show what waits for whom and since when, the links, the logs and the disk",
  arguments: [],
  options: [
    ...relayOptions,
    { name: "metrics", help: "as Prometheus text, with each member's lanes" },
  ],
  examples: [
    { line: "chappe relay status --dir lab/relays/hub1", says: "for people" },
    {
      line: "chappe relay status --dir hub1 --metrics",
      says: "for node_exporter's textfile collector",
    },
  ],
  async run(input, world) {
    const door = await RelayDoor.of(input.needed("dir"))
    if (input.flag("metrics")) {
      world.output.raw(await door.text({ method: "GET", path: "/metrics" }))
      return undefined
    }
    const facts = await door.ask({ method: "GET", path: "/status" }, relayFacts)
    world.output.result(facts, statusText(world.output, facts))
    return undefined
  },
}

/** What reading everything has found, or that it goes on. */
function scrubText(output: Output, { scrub }: OwnFacts): string {
  const { rounds, damaged, mended } = scrub
  const read = rounds === 0 ? "being read for the first time" : `read ${rounds} time(s)`
  const lost =
    damaged.length === 0 ? "" : `, ${output.style("red", "DAMAGED")}: ${damaged.join(", ")}`
  return `${read}${lost}${mended.length === 0 ? "" : `, mended: ${mended.join(", ")}`}`
}

export const relayWhy: Command = {
  name: "relay why",
  help: "say in words why a member's mail is not delivered, and what to do",
  arguments: [{ name: "MEMBER", help: "whose mail, such as JP" }],
  options: relayOptions,
  examples: [{ line: "chappe relay why JP --dir hub1", says: "a paragraph and the next step" }],
  async run(input, world) {
    const member = input.argument("MEMBER")
    const door = await RelayDoor.of(input.needed("dir"))
    const path = `/members/${encodeURIComponent(member)}`
    const facts = await door.ask({ method: "GET", path }, memberFacts)
    const { says, next } = explain(facts)
    world.output.result(
      { says, next, ...facts },
      `${says}\n  ${world.output.style("bold", "next:")} ${next}`,
    )
    return undefined
  },
}

function statusText(output: Output, facts: RelayFacts): string {
  const { own, logs, members, relays, aside } = facts
  const { clock, disk } = own
  const head = [
    `${output.style("bold", own.relay)}, chappe ${own.version}, up ${formatDuration(own.upSeconds)}`,
    `  clock  ${clock.isOff ? output.style("red", "OFF") : "good"}, ${Math.abs(clock.offsetSeconds)} s from network time`,
    ...clockText(output, clock),
    `  disk   ${disk.isFull ? output.style("red", "FULL") : formatBytes(disk.freeBytes)} free${
      disk.daysLeft === null ? "" : `, ${disk.daysLeft.toFixed(1)} days left at this rate`
    }`,
    `  files  ${scrubText(output, own)}`,
  ]
  const drain =
    facts.draining === null
      ? []
      : [`  ${output.style("yellow", "drained")} ${drainText(facts.draining)}`]
  const tail = aside.items === 0 ? [] : [`  ${aside.items} item(s) set aside: refused for good`]
  return [
    ...head,
    ...drain,
    ...logs.map(logText),
    ...[...relays, ...members].flatMap((peer) => peerText(output, peer, own.upSeconds)),
    ...tail,
  ].join("\n")
}

function clockText(output: Output, clock: RelayFacts["own"]["clock"]): readonly string[] {
  const waits = clock.logWaitsSeconds
  return [
    ...(clock.isOff || clock.isAgreed
      ? []
      : [`         ${output.style("yellow", "too few agree with it")}: nothing is logged`]),
    ...(waits === null
      ? []
      : [
          `         ${output.style("red", `the logs are ahead of network time`)}: they take nothing for ${formatDuration(waits)}; see "The clock is off"`,
        ]),
  ]
}

function logText(log: LogFacts): string {
  const behind = log.entries - log.published
  const witnessed =
    log.witnessSeconds === null
      ? "no witness yet"
      : `${log.witnesses.length} witness(es), the last ${formatDuration(log.witnessSeconds)} ago`
  return `  log    ${log.origin}: ${log.entries} entries${behind > 0 ? `, ${behind} not under a checkpoint` : ""}, checkpoint ${formatDuration(log.checkpointSeconds)} old, ${witnessed}`
}

function peerText(output: Output, peer: PeerFacts, upSeconds: number): readonly string[] {
  const { name, role, linked, skewSeconds, lanes, refusedLink, inCustody } = peer
  const since = formatDuration(peer.seconds ?? upSeconds)
  const link = linked ? `linked ${since}` : output.style("yellow", `away ${since}`)
  const skew =
    skewSeconds !== null && Math.abs(skewSeconds) > limits.clockSkewSecondsMax
      ? `, ${output.style("red", `clock ${skewSeconds} s off`)}`
      : ""
  const refused = linked || refusedLink === null ? "" : `, last refused with ${refusedLink.code}`
  const custody =
    inCustody === null || inCustody.items === 0 ? "" : `, ${inCustody.items} in its custody`
  return [
    `  ${role.padEnd(6)} ${name}: ${link}${skew}${refused}${custody}`,
    ...lanes.map(({ lane, items, bytes, oldestSeconds, lastError }) => {
      const age = oldestSeconds === null ? "" : `, oldest ${formatDuration(oldestSeconds)}`
      const error = lastError === null ? "" : `, answers ${lastError.code}: ${lastError.sentence}`
      return `           ${lane}: ${items} waiting, ${formatBytes(bytes)}${age}${error}`
    }),
  ]
}
