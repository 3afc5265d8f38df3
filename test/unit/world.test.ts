// The world that other tests stand in must itself be one that the rules accept.

import { expect, test } from "vitest"
import { World } from "../kit/world.ts"

test("the test world's directory takes every statement in, and knows its members and keys", () => {
  const world = new World({ at: 1_800_000_000 })
  const directory = world.directory()

  expect(directory.activeRelays()).toEqual(["hub1", "hub2"])
  expect(directory.desks()).toEqual(["HQ"])
  expect(directory.linkOwner(world.member("FR").link.publicKey, world.at)?.name).toBe("FR")
  expect(directory.homes("HQ")).toEqual(["hub2", "hub1"])
})
