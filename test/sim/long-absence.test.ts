// Every process can be stopped, kept off for 100 days, and comes back by itself: keys have expired
// meanwhile, so standby keys, staggered relay keys and new link keys must do their work. People's keys are
// another matter: an officer who was away so long is enrolled anew, by the member's root.

import { afterAll, beforeAll, expect, test } from "vitest"
import { QuickLab } from "../kit/quick-lab.ts"

const daysOff = 100
let lab: QuickLab

beforeAll(async () => {
  lab = await QuickLab.found(["FR", "JP"])
})
afterAll(async () => {
  await lab.end()
})

async function exchange(from: string, to: string, subject: string): Promise<void> {
  const sent = await lab.api(from).call("POST", "/v1/messages", {
    type: "message",
    to: [to],
    subject,
    text: "still here",
    precedence: "immediate",
  })
  const message = await lab.api(to).inboxMessage((item) => item["id"] === sent["id"])
  expect(message["subject"]).toBe(subject)
  await lab.api(from).stepsOf(String(sent["id"]), "delivered")
}

test(
  "a network that was off for 100 days works again by itself",
  { timeout: 120_000 },
  async () => {
    await lab.start()
    await exchange("FR", "JP", "before")
    await lab.stop()
    lab.moveClock(daysOff * 86_400)
    await lab.start()
    await lab.linked()
    expect(await lab.api("FR").signInCode()).toBe("key-expired")
    for (const member of ["FR", "JP"]) await lab.renewOfficer(member)
    await exchange("FR", "JP", "after")
    await exchange("JP", "FR", "and back")
    const before = await lab.api("JP").inbox()
    expect(before.map((item) => item["subject"])).toEqual(["before", "after"])
  },
)
