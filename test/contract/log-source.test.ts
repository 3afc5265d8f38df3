// What every LogSource keeps to: memory, directory, and a server over HTTP and HTTPS.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { type RequestListener, createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { DirectorySource } from "../../audit/adapters/directory-source.ts"
import { UrlSource } from "../../audit/adapters/url-source.ts"
import type { LogSource } from "../../audit/log-source.ts"
import { makeLinkCertificate } from "../../keys/link-certificate.ts"
import { utf8 } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { MemoryLogSource } from "../kit/memory-log-source.ts"

const files = new Map([
  ["checkpoint", utf8("log.example\n")],
  ["tile/0/x001/x234/067.p/7", new Uint8Array(7 * 32).fill(7)],
  ["tile/entries/000", new Uint8Array(100_000).fill(8)],
])
const certificate = (seed: number): { readonly certPem: string; readonly keyPem: string } =>
  makeLinkCertificate({
    name: "hub1.example",
    seed: new Uint8Array(32).fill(seed),
    serial: new Uint8Array(16).fill(seed),
    notBefore: 1_700_000_000,
  })
const server = certificate(1)
const client = certificate(2)

const serve: RequestListener = (request, response) => {
  const path = (request.url ?? "").slice("/log/".length)
  const bytes = files.get(path)
  if (path === "broken") response.writeHead(500).end()
  else if (path === "moved") response.writeHead(302, { location: "/log/checkpoint" }).end()
  else if (path === "zipped") response.writeHead(200, { "content-encoding": "gzip" }).end("x")
  else if (path === "whoami") response.end(request.headers.authorization ?? "")
  else if (path === "torn") {
    response.writeHead(200, { "content-length": 100 })
    response.write("x", () => response.destroy())
  } else if (bytes === undefined) response.writeHead(404).end("nothing here")
  else response.end(bytes)
}

let directory = ""
let plainUrl = ""
let secureUrl = ""
const plain = createServer(serve)
const secure = createSecureServer(
  {
    cert: server.certPem,
    key: server.keyPem,
    ca: client.certPem,
    requestCert: true,
    rejectUnauthorized: true,
  },
  serve,
)
const opened: UrlSource[] = []

function urlSource(options: ConstructorParameters<typeof UrlSource>[0]): UrlSource {
  const source = new UrlSource(options)
  opened.push(source)
  return source
}

function secureSource(pem = server.certPem, shown = client): UrlSource {
  return urlSource({
    url: secureUrl,
    authorization: (path) => `Chappe ${path}`,
    trust: { kind: "certificate", pem },
    client: { certificatePem: shown.certPem, keyPem: shown.keyPem },
  })
}

async function codeOf(result: Promise<unknown>): Promise<string> {
  const error: unknown = await result.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  return error instanceof ChappeError ? error.code : String(error)
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "chappe-log-"))
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), bytes)
  }
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve))
  await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve))
  plainUrl = `http://127.0.0.1:${(plain.address() as AddressInfo).port}/log`
  secureUrl = `https://127.0.0.1:${(secure.address() as AddressInfo).port}/log/`
})

afterAll(async () => {
  for (const source of opened) source.close()
  plain.close()
  secure.close()
  plain.closeAllConnections()
  secure.closeAllConnections()
  await rm(directory, { recursive: true })
})

const adapters: Readonly<Record<string, () => LogSource>> = {
  MemoryLogSource: () => new MemoryLogSource(files),
  DirectorySource: () => new DirectorySource(directory),
  "UrlSource over http": () => urlSource({ url: plainUrl }),
  "UrlSource over https": () => secureSource(),
}

describe.each(Object.entries(adapters))("%s", (_, open) => {
  it("reads resources whole, several at once", async () => {
    const source = open()
    const read = await Promise.all([...files.keys()].map((path) => source.read(path, 100_000)))
    expect(read).toEqual([...files.values()])
  })

  it("gives undefined for what is not there", async () => {
    const source = open()
    for (const path of ["tile/0/001", "policy", "tile/0", "checkpoint/000"])
      expect(await source.read(path, 100)).toBe(undefined)
  })

  it("refuses what is longer than asked for", async () => {
    expect(await codeOf(open().read("tile/entries/000", 99_999))).toBe("log-file")
  })

  it("lists its tiles, or says that it cannot", async () => {
    const paths = await open().tilePaths()
    const tiles = [...files.keys()].filter((path) => path.startsWith("tile/"))
    expect([undefined, tiles.toSorted()]).toContainEqual(paths?.toSorted())
  })
})

describe("a directory", () => {
  it("is never left through a path", async () => {
    const source = new DirectorySource(join(directory, "tile"))
    await expect(source.read("../checkpoint", 100)).rejects.toThrow(RangeError)
    await expect(source.read("/etc/passwd", 100)).rejects.toThrow(RangeError)
  })

  it("that does not exist has nothing", async () => {
    const source = new DirectorySource(join(directory, "none"))
    expect(await source.read("checkpoint", 100)).toBe(undefined)
    expect(await source.tilePaths()).toEqual([])
  })
})

describe("a server", () => {
  it.each(["broken", "moved", "zipped", "torn"])(
    "that answers %s says nothing about the log",
    async (path) => {
      expect(await codeOf(urlSource({ url: plainUrl }).read(path, 100))).toBe("unverified")
    },
  )

  it("that is away says nothing about the log", async () => {
    const source = urlSource({ url: "http://127.0.0.1:1/log" })
    expect(await codeOf(source.read("checkpoint", 100))).toBe("unverified")
  })

  it("gets an authorization for each path", async () => {
    expect(await secureSource().read("whoami", 100)).toEqual(utf8("Chappe /log/whoami"))
  })

  it("must show the certificate that is trusted", async () => {
    expect(await codeOf(secureSource(certificate(3).certPem).read("checkpoint", 100))).toBe(
      "unverified",
    )
    const source = urlSource({ url: secureUrl })
    expect(await codeOf(source.read("checkpoint", 100))).toBe("unverified")
  })

  it("refuses a stranger's certificate", async () => {
    const source = secureSource(server.certPem, certificate(4))
    expect(await codeOf(source.read("checkpoint", 100))).toBe("unverified")
  })

  it("is not given credentials without TLS", () => {
    expect(() => urlSource({ url: plainUrl, authorization: () => "secret" })).toThrow(ChappeError)
    expect(() => urlSource({ url: "ftp://hub1.example/" })).toThrow(ChappeError)
  })
})
