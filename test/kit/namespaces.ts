// Hosts in network namespaces on one switch, whose cables can be cut, made lossy or pulled. Needs root,
// iproute2 and iptables. Each host has a second interface by which tests reach it whatever happens to the first.

import { execFile } from "node:child_process"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)
const etc = "/etc/netns" // what `ip netns exec` lays over /etc

async function ip(...words: readonly string[]): Promise<void> {
  await run("ip", words)
}

/** Why there are no namespaces here; undefined where there are. */
export async function namespacesUnavailable(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "network namespaces need root"
  const probe = `chappe-probe-${process.pid}`
  try {
    await ip("netns", "add", probe)
  } catch {
    return "ip netns does not work here (Debian: iproute2)"
  }
  try {
    await run("ip", ["netns", "exec", probe, "iptables", "-w", "-L", "-n"])
    return undefined
  } catch {
    return "iptables does not work here (Debian: iptables)"
  } finally {
    await ip("netns", "del", probe)
  }
}

/** Why links cannot be made narrow here; undefined where they can. */
export async function shapingUnavailable(): Promise<string | undefined> {
  const why = await namespacesUnavailable()
  if (why !== undefined) return why
  const probe = `chappe-probe-${process.pid}`
  await ip("netns", "add", probe)
  try {
    await run("ip", ["netns", "exec", probe, "tc", ...tokenBucket("lo", "10mbit")])
    return undefined
  } catch {
    return "tc does not work here (Debian: iproute2; a kernel with sch_tbf)"
  } finally {
    await ip("netns", "del", probe)
  }
}

/** What tc is told: a short queue, as a router has it, or a flash would wait in it. */
function tokenBucket(device: string, rate: string): readonly string[] {
  const limits = ["rate", rate, "burst", "16kb", "latency", "100ms"]
  return ["qdisc", "replace", "dev", device, "root", "tbf", ...limits]
}

type Host = {
  readonly namespace: string
  readonly address: string
  /** The switch's end of its cable. */
  readonly port: string
  readonly management: string
}

export class Namespaces {
  readonly #net: number
  readonly #hosts = new Map<string, Host>()

  private constructor(net: number) {
    this.#net = net
  }

  /** Hosts that know each other by name. */
  static async make(names: readonly string[]): Promise<Namespaces> {
    const made = new Namespaces(await freeNet())
    try {
      await made.#build(names)
      return made
    } catch (cause) {
      await made.remove()
      throw cause
    }
  }

  /** The command that runs another one on a host. */
  on(name: string): readonly string[] {
    return ["ip", "netns", "exec", this.#host(name).namespace]
  }

  /** Where tests reach a host. */
  management(name: string): string {
    return this.#host(name).management
  }

  /** `to` hears nothing of `from` any more. */
  async drop(from: string, to: string): Promise<void> {
    await this.#rule(to, "-i", "eth0", "-s", this.#host(from).address, "-j", "DROP")
  }

  /** Every packet to a host is lost with this probability. */
  async lose(name: string, probability: number): Promise<void> {
    const random = ["-m", "statistic", "--mode", "random", "--probability", String(probability)]
    await this.#rule(name, "-i", "eth0", ...random, "-j", "DROP")
  }

  /** Every TCP packet to a host is answered with a reset. */
  async reset(name: string): Promise<void> {
    await this.#rule(name, "-i", "eth0", "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")
  }

  /** No more than this comes to a host or leaves it, such as `10mbit`. */
  async narrow(name: string, rate: string): Promise<void> {
    await run("ip", [...this.on(name).slice(1), "tc", ...tokenBucket("eth0", rate)])
    await run("tc", tokenBucket(this.#host(name).port, rate))
  }

  async cable(name: string, state: "up" | "down"): Promise<void> {
    await ip("-n", this.#host(name).namespace, "link", "set", "eth0", state)
  }

  /** All cables in, nothing dropped. */
  async heal(): Promise<void> {
    await Promise.all(
      [...this.#hosts.keys()].map(async (name) => {
        await run("ip", [...this.on(name).slice(1), "iptables", "-w", "-F", "INPUT"])
        await this.cable(name, "up")
      }),
    )
  }

  async remove(): Promise<void> {
    for (const { namespace } of this.#hosts.values()) {
      await ip("netns", "del", namespace)
      await rm(join(etc, namespace), { recursive: true, force: true })
    }
    this.#hosts.clear()
    for (const bridge of bridges(this.#net)) await ip("link", "del", bridge)
  }

  async #build(names: readonly string[]): Promise<void> {
    const net = this.#net
    const [lan, management] = bridges(net)
    await ip("link", "set", lan, "up")
    await ip("link", "add", management, "type", "bridge")
    await ip("addr", "add", `198.19.${net}.254/24`, "dev", management)
    await ip("link", "set", management, "up")
    const known = names.map((name, i) => `198.18.${net}.${i + 1} ${name}\n`).join("")
    for (const [i, name] of names.entries()) {
      const host: Host = {
        namespace: `chappe-${net}-${name}`,
        address: `198.18.${net}.${i + 1}`,
        port: `chl${net}-${i}`,
        management: `198.19.${net}.${i + 1}`,
      }
      await mkdir(join(etc, host.namespace), { recursive: true })
      await writeFile(join(etc, host.namespace, "hosts"), `127.0.0.1 localhost\n${known}`)
      await ip("netns", "add", host.namespace)
      this.#hosts.set(name, host)
      await ip("-n", host.namespace, "link", "set", "lo", "up")
      await this.#plug(host, { bridge: lan, device: "eth0", end: host.port }, host.address)
      const end = `chm${net}-${i}`
      await this.#plug(host, { bridge: management, device: "eth1", end }, host.management)
    }
  }

  async #plug(
    { namespace }: Host,
    cable: { readonly bridge: string; readonly device: string; readonly end: string },
    address: string,
  ): Promise<void> {
    const { bridge, device, end } = cable
    const peer = ["peer", "name", device, "netns", namespace]
    await ip("link", "add", end, "type", "veth", ...peer)
    await ip("link", "set", end, "master", bridge, "up")
    await ip("-n", namespace, "addr", "add", `${address}/24`, "dev", device)
    await ip("-n", namespace, "link", "set", device, "up")
  }

  async #rule(name: string, ...rule: readonly string[]): Promise<void> {
    await run("ip", [...this.on(name).slice(1), "iptables", "-w", "-A", "INPUT", ...rule])
  }

  #host(name: string): Host {
    const host = this.#hosts.get(name)
    if (host === undefined) throw new Error(`no host ${name}`)
    return host
  }
}

function bridges(net: number): readonly [lan: string, management: string] {
  return [`chlan${net}`, `chmgt${net}`]
}

/** A number that no other run on this machine has: whoever made the bridge has it. */
async function freeNet(): Promise<number> {
  for (let tries = 0; tries < 256; tries++) {
    const net = (process.pid + tries) % 256
    try {
      await ip("link", "add", bridges(net)[0], "type", "bridge")
      return net
    } catch {
      // Another run has it.
    }
  }
  throw new Error("no free number for a bridge")
}
