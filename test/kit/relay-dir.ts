// A relay's folder as `chappe lab init` would write it, from a test world.

import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { makeHttpsCertificate } from "../../keys/https-certificate.ts"
import { type KeyEntry, sealKeyFile } from "../../keys/key-file.ts"
import { formatTrustFile } from "../../protocol/trust-file.ts"
import { relayConfigTemplate } from "../../relay/config.ts"
import { countingRandom } from "./counting-random.ts"
import { type World, seedOf } from "./world.ts"

export function relayKeyEntries(world: World, name: string): readonly KeyEntry[] {
  const relay = world.relay(name)
  const notes = [relay.directoryLog, relay.trafficLog, ...relay.laterLogs].flatMap(
    ({ log, promise }) => [
      { use: "log" as const, publicKey: log.publicKey, secret: log.seed },
      { use: "promise" as const, publicKey: promise.publicKey, secret: promise.seed },
    ],
  )
  return [
    ...relay.keys.map(({ publicKey, seed }) => ({
      use: "relay" as const,
      publicKey,
      secret: seed,
    })),
    { use: "link", publicKey: relay.link.publicKey, secret: relay.link.seed },
    ...notes,
  ]
}

/** Writes everything that `startRelay` reads. Ports 0 take free ones. */
export async function writeRelayDir(
  world: World,
  name: string,
  dir: string,
  ports: { readonly links: number; readonly https: number } = { links: 0, https: 0 },
): Promise<void> {
  await mkdir(join(dir, "keys"), { recursive: true, mode: 0o700 })
  const random = countingRandom(`relay ${name}`)
  const secret = seedOf(`relay secret ${name}`)
  const https = makeHttpsCertificate({
    name,
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
    serial: random(16),
    notBefore: world.at - 86_400,
    notAfter: world.at + 365 * 86_400,
  })
  const config = relayConfigTemplate({ name, linksPort: ports.links, httpsPort: ports.https })
  const files: readonly (readonly [string, string | Uint8Array])[] = [
    ["relay.toml", config.replace('log_level = "info"', 'log_level = "silent"')],
    ["trust.json", formatTrustFile({ anchor: world.anchor, relays: [], auditor: undefined })],
    ["directory.chappe", world.bundle()],
    ["keys/relay.secret", secret],
    [
      "keys/relay.key",
      await sealKeyFile({
        entries: relayKeyEntries(world, name),
        unlock: { kind: "secret", secret },
        random,
      }),
    ],
    ["keys/https.pem", https.certPem],
    ["keys/https-key.pem", https.keyPem],
  ]
  for (const [path, content] of files) await writeFile(join(dir, path), content, { mode: 0o600 })
}
