// The filter without a broker: `npm test`.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Fault } from 'gristmill:plugin/types@0.1.0'
import { filtering, setup } from './notification.js'

const filter = (text: string) => filtering.filter(new TextEncoder().encode(text))
const rejects = (run: () => unknown, reason: string) =>
  assert.throws(run, (thrown: Fault) => thrown.tag === 'reject' && thrown.val.includes(reason))

test('what is private goes and the user becomes a header', () => {
  setup.init('{"private":"ip"}')
  const verdict = filter('{"user":"mia","text":"hello","ip":"192.0.2.1"}')
  assert(verdict.tag === 'replace')
  assert.deepEqual(verdict.val.headers, [['user', 'mia']])
  assert.deepEqual(JSON.parse(new TextDecoder().decode(verdict.val.payload)), { user: 'mia', text: 'hello' })
})

test('what is no notification is rejected with the reason', () => {
  rejects(() => filter('{'), 'not JSON')
  for (const payload of ['{"user":7}', 'null', '[]']) rejects(() => filter(payload), 'no notification')
})

test('what is not UTF-8 is not JSON', () => {
  rejects(() => filtering.filter(Uint8Array.of(0xff)), 'not JSON')
})

test('a config that names no field is refused', () => {
  assert.throws(() => setup.init('{"private":7}'), (error: string) => error.includes('private'))
})
