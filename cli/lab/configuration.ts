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
