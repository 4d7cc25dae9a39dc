// The publisher without a broker: `npm test`.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publishing, setup } from './NAME.js'

const payload = new TextEncoder().encode('{}')
const answered = (val) => publishing.answered(payload, [{ tag: 'http', val }])
const answer = (status, headers = []) => ({ tag: 'ok', val: { status, headers, body: new TextEncoder().encode('busy') } })

setup.init('{"url":"https://example.com/hook"}')

test('the payload is posted with its topic', () => {
  const [{ tag, val }] = publishing.publish(payload)
  assert.deepEqual([tag, val.method, val.url], ['http', 'POST', 'https://example.com/hook'])
  assert.deepEqual([val.headers, val.body], [[['x-topic', 'orders']], { tag: 'payload' }])
})

test('a busy server is asked again when it says', () => {
  assert.deepEqual(answered(answer(204)), [])
  const fault = { tag: 'retry', val: { afterMs: 7000, reason: 'answered 503: busy' } }
  assert.throws(() => answered(answer(503, [['Retry-After', '7']])), (thrown) => (assert.deepEqual(thrown, fault), true))
})

test('a server that is away is asked again', () => {
  const away = { tag: 'err', val: { tag: 'unreachable', val: 'no route' } }
  assert.throws(() => answered(away), ({ tag, val }) => tag === 'retry' && val.reason === 'no route')
})

test('what can never work is rejected', () => {
  const denied = { tag: 'err', val: { tag: 'denied', val: 'no grant' } }
  for (const [reply, reason] of [[answer(404), 'answered 404: busy'], [denied, 'no grant']]) {
    assert.throws(() => answered(reply), ({ tag, val }) => tag === 'reject' && val === reason)
  }
})

test('a config without a URL is refused', () => {
  assert.throws(() => setup.init('{}'), (error) => error.includes('`url`'))
})
