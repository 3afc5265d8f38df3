// The version of the software, from the package itself.

import { readFileSync } from "node:fs"

function read(): string {
  // From dist/node/adapters and from the sources the package stands at different heights.
  for (const place of ["../../package.json", "../../../package.json"]) {
    try {
      const found: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), "utf8"))
      if (typeof found === "object" && found !== null && "version" in found)
        return String(found.version)
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
    }
  }
  return "0"
}

export const softwareVersion: string = read()
