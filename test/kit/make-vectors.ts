// Writes the frozen vectors: `npm run vectors`. Run from the project's root.

import { writeFileSync } from "node:fs"
import { makeVectors } from "./vectors.ts"

for (const [name, text] of await makeVectors()) {
  writeFileSync(`test/vectors/${name}`, text)
  console.log(`test/vectors/${name}: ${text.length} characters`)
}
