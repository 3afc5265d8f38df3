// What the command takes from its environment: nothing secret, and nowhere else.

import { argv, cwd, env, execPath } from "node:process"

export type Environment = {
  /** systemd waits here for the word that the process is ready. */
  readonly notifySocket: string | undefined
  readonly noColour: boolean
  /** How to start this programme again, as another process. */
  readonly program: readonly string[]
  readonly workingDirectory: string
}

export function readEnvironment(): Environment {
  const notifySocket = env["NOTIFY_SOCKET"]
  return {
    notifySocket: notifySocket === "" ? undefined : notifySocket,
    noColour: (env["NO_COLOR"] ?? "") !== "",
    program: [execPath, argv[1] ?? ""],
    workingDirectory: cwd(),
  }
}
