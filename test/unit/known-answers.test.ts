import { expect, test } from "vitest"
import { assertKnownAnswers } from "../../keys/known-answers.ts"

test("every primitive gives its known answer on this machine", () => {
  expect(assertKnownAnswers).not.toThrow()
})
