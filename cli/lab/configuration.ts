// The configuration files of a lab's processes, every key documented in place.

export function nodeConfigText(options: {
  readonly name: string
  readonly httpPort: number
}): string {
  return `# A member's node. Paths are relative to this file's folder. Secrets are in keys/, never here.

# The member's name, as the roster has it.
name = "${options.name}"

[http]
# Where officers' programs and the chappe command reach this node. Loopback only: put a proxy of your own before it.
host = "127.0.0.1"
port = ${options.httpPort}

[log]
# error, warn, info or debug. Log lines hold ids and codes, never content.
level = "info"
`
}

export function relayConfigText(options: {
  readonly name: string
  /** The address to listen on. */
  readonly bind: string
  readonly linksPort: number
  readonly httpsPort: number
}): string {
  return `# A relay. Paths are relative to this file's folder. Secrets are in keys/, never here.

# The relay's name, as the roster has it; the origins of its logs begin with it.
name = "${options.name}"

[links]
# Where nodes and other relays connect: TLS 1.3 with keys pinned by the directory; strangers are dropped.
host = "${options.bind}"
port = ${options.linksPort}

[https]
# The logs for auditors and members, statements, first contact: an ordinary certificate, keys/https.pem.
host = "${options.bind}"
port = ${options.httpsPort}

[log]
# error, warn, info or debug. Log lines hold ids and codes, never content.
level = "info"
`
}
