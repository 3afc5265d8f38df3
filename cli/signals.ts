// Ctrl-C, SIGTERM, and a parent that went away.

/** Resolves at the first of the signals; a second one ends the process at once. */
export function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    let first = true
    const hear = (): void => {
      if (!first) process.exit(1)
      first = false
      resolve()
    }
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, hear)
  })
}

/** Resolves when stdin closes: the process that started this one has ended. */
export function parentGone(stdin: NodeJS.ReadStream): Promise<void> {
  return new Promise((resolve) => {
    stdin.once("close", resolve)
    stdin.once("end", resolve)
    stdin.once("error", () => {
      resolve()
    })
    stdin.resume()
  })
}
