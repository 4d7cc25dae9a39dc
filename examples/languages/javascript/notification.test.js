// The filter without a broker: `npm test`.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { filtering, setup } from './notification.js'

const filter = (text) => filtering.filter(new TextEncoder().encode(text))

test('what is private goes and the user becomes a header', () => {
  setup.init('{"private":"ip"}')
  const { tag, val } = filter('{"user":"mia","text":"hello","ip":"192.0.2.1"}')
  assert.equal(tag, 'replace')
  assert.deepEqual(val.headers, [['user', 'mia']])
  assert.deepEqual(JSON.parse(new TextDecoder().decode(val.payload)), { user: 'mia', text: 'hello' })
})

test('what is no notification is rejected with the reason', () => {
  for (const [payload, reason] of [['{', 'not JSON'], ['{"user":7}', 'no notification'], ['null', 'no notification']]) {
    assert.throws(() => filter(payload), ({ tag, val }) => tag === 'reject' && val.includes(reason))
  }
})

test('what is not UTF-8 is not JSON', () => {
  assert.throws(() => filtering.filter(Uint8Array.of(0xff)), ({ tag, val }) => tag === 'reject' && val.includes('not JSON'))
})

test('a config that names no field is refused', () => {
  assert.throws(() => setup.init('{"private":7}'), (error) => error.includes('private'))
})
